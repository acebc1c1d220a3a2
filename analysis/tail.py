"""The long tail of a data set: its nouns below the threshold by how often they occur, and samples to look at.

While captions are counted, the first caption of each noun that is not valid yet is kept: its place, its key and a few
words, some 400 bytes a noun; a noun that becomes valid gives its own back. So memory grows with the nouns of the tail,
never with the captions. Serves the density report. Leaves out: which of them are mistakes of the tagger, misspellings
or real rarities; the samples are there for a person to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.counts import Folding, NounCounts, form_of
from analysis.nouns import Noun
from analysis.words import printable

#: The first occurrences of each band of the tail; the last band ends below the threshold.
BANDS = (1, 2, 5, 10, 100, 1000)
#: Characters of the caption on either side of the noun, cut at white space.
AROUND = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """A caption with the noun: `index` in its data set from 0, its key, and `excerpt`, the words around the noun."""

    dataset: str
    index: int
    key: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class RareNoun:
    """A noun below the threshold; no sample where counts were read instead of captions."""

    noun: str
    occurrences: int
    sample: Sample | None


@dataclass(frozen=True, slots=True)
class Band:
    """The `nouns` nouns with `low` to `high` occurrences, `occurrences` of them in all, and some of these nouns."""

    low: int
    high: int
    nouns: int
    occurrences: int
    examples: tuple[RareNoun, ...]

    @property
    def label(self) -> str:
        """`1`, or `2-4`."""
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class Tail:
    """The nouns with fewer than `valid_from` occurrences, of `distinct_nouns` nouns with `total_nouns` occurrences."""

    valid_from: int
    distinct_nouns: int
    total_nouns: int
    bands: tuple[Band, ...]

    @property
    def nouns(self) -> int:
        """Nouns of the tail."""
        return sum(band.nouns for band in self.bands)

    @property
    def occurrences(self) -> int:
        """Occurrences of the tail's nouns."""
        return sum(band.occurrences for band in self.bands)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON. A band's `share` is of the tail's nouns; the tail's shares are of all nouns."""
        bands = [
            {
                "from": band.low,
                "to": band.high,
                "nouns": band.nouns,
                "share": _share(band.nouns, self.nouns),
                "occurrences": band.occurrences,
                "examples": [_example(rare) for rare in band.examples],
            }
            for band in self.bands
        ]
        return {
            "valid_from": self.valid_from,
            "nouns": self.nouns,
            "share_of_distinct": _share(self.nouns, self.distinct_nouns),
            "occurrences": self.occurrences,
            "share_of_total": _share(self.occurrences, self.total_nouns),
            "bands": bands,
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _example(rare: RareNoun) -> dict[str, Any]:
    names = ("dataset", "index", "key", "excerpt")
    sample = {name: getattr(rare.sample, name) if rare.sample else None for name in names}
    return {"noun": rare.noun, "occurrences": rare.occurrences} | sample


class FirstSamples:
    """The first caption of each noun of one data set that is not valid yet, in `found`. `names`: PROPN counts too."""

    def __init__(self, dataset: str, folding: Folding, *, names: bool, valid_from: int) -> None:
        self.dataset, self.folding = dataset, folding
        self.names, self.valid_from = names, valid_from
        self.found: dict[str, Sample] = {}

    def add(self, key: str, text: str, nouns: Iterable[Noun], counts: NounCounts) -> None:
        """Takes the caption that `counts` counted last."""
        column = 0 if self.names else 2
        for noun in nouns:
            if not (self.names or noun.tag == "NOUN"):
                continue
            form = form_of(noun, self.folding)
            row = counts.nouns.get(form)
            if row is None:
                continue
            if row[column] >= self.valid_from:
                self.found.pop(form, None)
            elif row[column + 1] == 1 and form not in self.found:
                index = counts.totals.images - 1
                self.found[form] = Sample(self.dataset, index, printable(key), excerpt(text, noun.start, noun.end))


def excerpt(text: str, start: int, end: int) -> str:
    """A few words around `text[start:end]` in one line; `…` where the caption goes on."""
    left, right = max(0, start - AROUND), min(len(text), end + AROUND)
    # To the nearest white space inside, so that no word is cut; where there is none, a word is.
    if left:
        left = next((place for place in range(left - 1, start) if text[place].isspace()), left)
    if right < len(text):
        right = next((place for place in range(right, end - 1, -1) if text[place].isspace()), right)
    words = " ".join(printable(text[left:right]).split())
    return f"{'…' if left else ''}{words}{'…' if right < len(text) else ''}"


def tail_of(counts: NounCounts, samples: Mapping[str, Sample], *, names: bool, valid_from: int, examples: int) -> Tail:
    """The tail of counts, with at most `examples` nouns of each band.

    Those are taken at even steps through the band, in the order in which its nouns first occurred, so that they come
    from all over the data set; the rarest stand first.
    """
    column = 0 if names else 2
    seen = {form: row[column] for form, row in counts.nouns.items() if row[column]}
    bands = []
    for low, high in bands_below(valid_from):
        forms = [form for form, count in seen.items() if low <= count <= high]
        shown = min(examples, len(forms))
        chosen = [forms[place * len(forms) // shown] for place in range(shown)]
        rare = sorted(
            (RareNoun(form, seen[form], samples.get(form)) for form in chosen), key=lambda each: each.occurrences
        )
        bands.append(Band(low, high, len(forms), sum(seen[form] for form in forms), tuple(rare)))
    return Tail(valid_from, len(seen), sum(seen.values()), tuple(bands))


def bands_below(valid_from: int) -> Iterator[tuple[int, int]]:
    """(first, last) occurrences of each band below the threshold: 1, 2 to 4, 5 to 9 below ten."""
    lows = [low for low in BANDS if low < valid_from]
    # Not strict: below a threshold of 1 there is no band.
    return zip(lows, [*(low - 1 for low in lows[1:]), valid_from - 1], strict=False)
