"""A hand-off's samples packed anew as WebDataset shards, for trainers that read every sample of a tar they are given.

One tar for each shard with a sample to hold, under the name of the hand-off's own; members are copied byte for byte, in
their order. An export: counted, not provable afterwards, since the tars are none that a manifest pins.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from shards.handoff import Handoff
from shards.handoff_place import Place
from shards.handoff_read import Split, open_shard, shards_to_read
from shards.index import read_all_members
from shards.writer import ShardWriter


def repack(folder: Path, handoff: Handoff, place: Place, split: Split) -> Iterator[str]:
    """Writes the shards into the empty `folder`, yielding the key of each sample as it is written.

    Raises CheckFailedError where a shard's bytes are not the hand-off's, NotStoredError, the StorageError tree.
    """
    for shard, wanted in shards_to_read(handoff, place, split):
        with open_shard(shard, place, wanted) as (open_range, units):
            if not units:
                continue
            with ShardWriter(folder / posixpath.basename(shard.path)) as writer:
                for unit, data in read_all_members(open_range, units):
                    for member in unit.members:
                        writer.add(member.name, data[member.extension])
                    yield unit.key
