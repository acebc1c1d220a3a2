"""Keeping some of a hand-off's samples while it is made: from the keys that were sent to entries, counts, a keep file.

Reads what lies beside the captioned shards: records for places and flags, sample rows for nouns; never a tar, and no
caption. Serves handoff_build.py.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from typing import Any

from analysis.counts import NounCounts
from analysis.keys import Keys, match
from analysis.sample_counts import counts_of_samples, has_forms
from core.errors import BadFieldError, NotReadyError
from shards.handoff import HandoffShard, KeepRef, SplitRule
from shards.keep import write_keep
from shards.keys import handoff_key, keep_key
from shards.names import show
from shards.records import Captioned, read_captioned


class Keeping:
    """Takes in one shard after the other. `cut_off`: captions that the token limit cut off, of those kept so far."""

    def __init__(self, keys: Keys, shards: Mapping[str, str]) -> None:
        """`shards`: {stem of the tar: name in the data set}. Raises BadFieldError for keys of other shards."""
        self._keys = keys
        self._wanted = match(keys, shards)
        self._rows: list[tuple[str, int, str]] = []
        self._absent: list[str] = []
        self._twice: list[str] = []
        self._old: list[str] = []
        self._counts: NounCounts | None = None
        self.cut_off = 0

    def take(self, entry: HandoffShard, stem: str, records: bytes, samples: bytes, splits: SplitRule) -> HandoffShard:
        """The entry as it is with its kept samples; `records` and `samples` are the files beside the shard.

        Raises BadFieldError where the keys are more than the shard has, and what counting raises.
        """
        captioned = read_captioned(records)
        rows = self._rows_of(entry, stem, captioned)
        kept = [captioned[row] for row in rows]
        self._rows += [(entry.source_sha256, sample.ordinal, sample.key) for sample in kept]
        self.cut_off += sum("cut_off" in sample.flags for sample in kept)
        if kept and not has_forms(samples):
            self._old.append(entry.name)
        elif kept:
            self._count(counts_of_samples(samples, rows))
        return entry.model_copy(
            update={
                "kept": len(kept),
                "left_out": entry.captioned - len(kept),
                "flagged": sum(bool(sample.flags) for sample in kept),
                "splits": splits.counts(sample.key for sample in kept),
            }
        )

    def _rows_of(self, entry: HandoffShard, stem: str, captioned: list[Captioned]) -> list[int]:
        """Which captioned samples of the shard are wanted, in its order. What cannot be found is noted."""
        wanted: Any = self._wanted.get(stem, ())
        if len(wanted) > len(captioned):
            raise BadFieldError(
                f"The keys file has {len(wanted):,} keys of {entry.name}, which has {len(captioned):,} samples.",
                field="keep",
            )
        places = {sample.key: row for row, sample in enumerate(captioned)}
        found: set[int] = set()
        for key in wanted.to_pylist() if len(wanted) else ():
            row = places.get(key)
            if row is None:
                self._absent.append(f"{show(key)} of {entry.name}")
            elif row in found:
                self._twice.append(f"{show(key)} of {entry.name}")
            else:
                found.add(row)
        return sorted(found)

    def _count(self, counts: NounCounts) -> None:
        if self._counts is None:
            self._counts = counts
        else:
            self._counts.merge(counts)

    @property
    def counts(self) -> NounCounts:
        """The nouns of what is kept; `finish` says before whether anything is."""
        assert self._counts is not None
        return self._counts

    def finish(self) -> tuple[KeepRef, bytes]:
        """The manifest's entry for the keep file, and that file.

        Raises BadFieldError for keys that no captioned sample has or that stand there twice, NotReadyError where a
        shard's files do not tell which nouns its samples have.
        """
        for problem, where in (("have no captioned sample", self._absent), ("stand there twice", self._twice)):
            if where:
                raise BadFieldError(
                    f"{len(where):,} of the {self._keys.count:,} keys {problem}; the first is {where[0]}.",
                    hint="Curate again what the data set's hand-off fetched; each sample is named once.",
                    field="keep",
                )
        if self._old:
            raise NotReadyError(
                f"{len(self._old):,} of the shards, {self._old[0]} the first, were measured by an earlier version of "
                "Densify, which did not write down the nouns of each sample.",
                hint="Correct one caption of each such shard: its new edition is measured anew. Then curate that one.",
            )
        data = write_keep(self._rows)
        sha256 = hashlib.sha256(data).hexdigest()
        path = posixpath.relpath(keep_key(sha256), posixpath.dirname(handoff_key("x", "x")))
        return KeepRef(path=path, sha256=sha256, size_bytes=len(data), claims=self._keys.claims), data
