"""Proving what a hand-off keeps: the keep file against the records, the kept samples' counts against the noun counts.

A shard's sample rows say which nouns each sample has. All of them together must be the shard's noun counts, which the
density of whole shards rests on; so the density of those that are kept rests on the same. Damage gives findings, never
exceptions. Serves handoff_verify.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from analysis.counts import NounCounts
from analysis.sample_counts import counts_of_samples
from shards.handoff import Handoff, HandoffShard
from shards.keep import Keep
from shards.records import Captioned
from shards.verify import Finding


class KeepProof:
    """Takes in one proven shard after the other. `counts`: the nouns of what is kept so far; `cut_off`: captions
    among it that the token limit cut off; `kept`: how many samples; `whole`: whether all that is kept could be counted.
    """

    def __init__(self, handoff: Handoff, keep: Keep) -> None:
        self._handoff = handoff
        self._keep = keep
        self.counts: NounCounts | None = None
        self.cut_off = 0
        self.kept = 0
        self.whole = True

    def file(self, where: str) -> Iterator[Finding]:
        """What is wrong with the keep file by itself: it names no sample, or some of shards that are not handed off."""
        if not self._keep.by_source:
            yield Finding("keep_differs", where, "It keeps no sample.")
        others = self._keep.by_source.keys() - {shard.source_sha256 for shard in self._handoff.shards}
        for source in sorted(others):
            yield Finding("keep_differs", where, f"It keeps samples of {source[:16]}, which is not handed off.")

    def shard(
        self, shard: HandoffShard, captioned: list[Captioned], samples: bytes, nouns: Path | bytes
    ) -> Iterator[Finding]:
        """What is wrong with the shard's kept samples; `captioned` are those of its records.

        Raises InputError where its sample rows or noun counts cannot be read, BadFieldError where they are counted in
        another way than those before.
        """
        kept = self._keep.of(shard.source_sha256)
        rows = {(sample.ordinal, sample.key): row for row, sample in enumerate(captioned)}
        strange = [sample.key for sample in kept if sample not in rows]
        if strange:
            self.whole = False
            sentence = (
                f"{len(strange)} of the kept samples are not captioned in the shard: {strange[0]!r} is the first."
            )
            yield Finding("keep_differs", shard.name, sentence)
            return
        held = [captioned[rows[sample]] for sample in kept]
        self.kept += len(held)
        self.cut_off += sum("cut_off" in sample.flags for sample in held)
        flagged = sum(bool(sample.flags) for sample in held)
        for name, counted in (("kept", len(held)), ("flagged", flagged)):
            declared = getattr(shard, name)
            if counted != declared:
                sentence = f"{name}: the keep file has {counted}, the hand-off says {declared}."
                yield Finding("count_mismatch", shard.name, sentence)
        if self._handoff.splits.counts(sample.key for sample in held) != shard.splits:
            sentence = "The splits do not follow from the kept keys by the manifest's rule."
            yield Finding("splits_differ", shard.name, sentence)
        if held:
            yield from self._nouns(shard, [rows[sample] for sample in kept], samples, nouns)

    def _nouns(self, shard: HandoffShard, rows: list[int], samples: bytes, nouns: Path | bytes) -> Iterator[Finding]:
        if counts_of_samples(samples) != NounCounts.from_parquet(nouns):
            self.whole = False
            yield Finding("density_differs", shard.name, "The nouns of its samples do not add up to its noun counts.")
            return
        counts = counts_of_samples(samples, rows)
        if self.counts is None:
            self.counts = counts
        else:
            self.counts.merge(counts)
