"""Reading a hand-off's samples from its shards: those that it keeps, of one split or all, and no others.

Whoever reads a hand-off's tars reads them through here: a tar may hold more samples than the hand-off does. Leaves out:
what is made of the samples (analysis/export.py, analysis/repack.py, training/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Literal

from core.errors import CheckFailedError
from shards.handoff import Handoff, HandoffShard
from shards.handoff_place import Place
from shards.index import OpenRange
from shards.keep import load_keep
from shards.reader import Unit, read_units
from shards.tar import TarLimits

Split = Literal["all", "train", "validation"]
#: Whether the sample with this key is one of those to read.
Wanted = Callable[[str], bool]

_LIMITS = TarLimits(max_shard_bytes=1 << 60, max_member_bytes=1 << 40, max_members=1 << 30)


def shards_to_read(handoff: Handoff, place: Place, split: Split = "all") -> Iterator[tuple[HandoffShard, Wanted]]:
    """The shards that hold a sample of the hand-off, in its order, and which of their samples those are.

    Raises CheckFailedError where the keep file is not the one that the manifest pins, BadFieldError, NotStoredError.
    """
    keep = load_keep(handoff, place)
    for shard in handoff.shards:
        if shard.samples_held:
            kept = None if keep is None else frozenset(sample.key for sample in keep.of(shard.source_sha256))
            yield shard, _wanted(handoff, kept, split)


def _wanted(handoff: Handoff, kept: frozenset[str] | None, split: Split) -> Wanted:
    def wanted(key: str) -> bool:
        return (kept is None or key in kept) and split in ("all", handoff.splits.split_of(key))

    return wanted


@contextmanager
def open_shard(shard: HandoffShard, place: Place, wanted: Wanted) -> Iterator[tuple[OpenRange, list[Unit]]]:
    """The shard's tar, its bytes proven: what reads a range of it, and its units with wanted samples.

    Raises CheckFailedError where the bytes are not those that the manifest pins, NotStoredError.
    """
    store, tar = place.file(shard.path)
    if store.sha256(tar) != shard.sha256:
        raise CheckFailedError(
            f"{shard.path} is not what the hand-off names: its bytes have changed.",
            hint="`densify verify` says what else has.",
        )
    with store.open(tar) as file:
        units = [unit for unit in read_units(file, shard.size_bytes, _LIMITS) if wanted(unit.key)]
        yield lambda offset, size: _range(file, offset, size), units


def _range(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
