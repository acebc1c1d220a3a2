"""One data set while it is counted: its nouns, the same as a trainer reads them, and samples of the rare ones.

One pass over the captions, each tagged once. Serves tables.py. Leaves out: reading captions, and the report's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from analysis.counts import NounCounts
from analysis.nouns import Noun
from analysis.tail import FirstSamples, Sample
from analysis.truncation import Truncation

#: One caption: key, text, nouns.
Tagged = tuple[str, str, list[Noun]]


@dataclass
class Tally:
    """`counts` of whole captions; `seen`: of what the trainer reads of them, where `cut` captions are cut."""

    counts: NounCounts
    seen: NounCounts
    cut: int = 0
    samples: dict[str, Sample] = field(default_factory=dict)

    def add(self, captions: Iterable[Tagged], trainer: Truncation | None, first: FirstSamples | None) -> None:
        """Counts captions, as they are and, with `trainer`, cut; with `first`, keeps samples of rare nouns."""
        whole = self._whole(captions, first)
        if trainer:
            self.cut += trainer.counts(whole, self.seen)
        else:
            for _ in whole:
                pass
        if first:
            self.samples = first.found

    def _whole(self, captions: Iterable[Tagged], first: FirstSamples | None) -> Iterator[tuple[str, list[Noun]]]:
        for key, text, nouns in captions:
            self.counts.add(text, nouns)
            if first:
                first.add(key, text, nouns, self.counts)
            yield text, nouns

    def merge(self, other: Tally) -> None:
        """Adds another data set; of two samples of a noun the one that is here already stays."""
        self.counts.merge(other.counts)
        self.seen.merge(other.seen)
        self.cut += other.cut
        self.samples = other.samples | self.samples
