"""The order of an epoch: which samples make which batch, the same on any number of processes, and after a resume.

Shards are shuffled, then samples within a window of neighbouring shards, so that reading stays local; batches hold one
bucket, and whole batches are shuffled once more. All of it follows from the seed and the number of the epoch: a cursor
is (epoch, batch), and nothing of it is stored but the number of steps. The samples of a bucket that are over when its
last full batch is made are left out of this epoch; which they are is drawn anew in each. A bucket with fewer samples
than a batch would never be read: buckets.py leaves none, as long as all samples together fill a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import NothingToReadError

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a run: the next batch of an epoch, both from 0."""

    epoch: int
    batch: int


class Epochs:
    """`shards` (n): the shard of each sample, in the hand-off's order; `buckets` (n): its bucket's number.

    Raises NothingToReadError where no bucket fills a batch.
    """

    def __init__(self, shards: Sequence[int], buckets: Sequence[int], *, batch: int, window: int, seed: int) -> None:
        self._shards = np.asarray(shards, np.int64)
        self._buckets = np.asarray(buckets, np.int64)
        self._batch, self._window, self._seed = batch, window, seed
        sizes = np.unique(self._buckets, return_counts=True)[1] if len(self._buckets) else np.zeros(0, np.int64)
        #: Batches of every epoch.
        self.batches = int((sizes // batch).sum())
        if not self.batches:
            raise NothingToReadError(
                f"{len(self._shards):,} samples fill no batch of {batch}.",
                hint="Lower run.batch, or hand off more samples.",
            )

    def cursor(self, step: int) -> Cursor:
        """Where step `step` reads, from 0."""
        return Cursor(*divmod(step, self.batches))

    def order(self, epoch: int) -> list[Integers]:
        """The epoch's batches: places of samples, `batch` of them each, all of one bucket."""
        chance = np.random.default_rng((self._seed, epoch))
        rank = chance.permutation(int(self._shards.max()) + 1)
        places = np.argsort(rank[self._shards], kind="stable")
        for start in range(0, len(places), self._window):
            chance.shuffle(places[start : start + self._window])
        batches = []
        for bucket in np.unique(self._buckets):
            mine = places[self._buckets[places] == bucket]
            whole = len(mine) // self._batch * self._batch
            # Which are left over changes with the epoch: the cut is at a place drawn by chance.
            mine = np.roll(mine, int(chance.integers(len(mine))))[:whole]
            batches += list(mine.reshape(-1, self._batch))
        return [batches[at] for at in chance.permutation(len(batches))]

    def read(self, step: int, stop: int) -> Iterator[tuple[int, Cursor, Integers]]:
        """(step, its cursor, its samples' places) from `step` to before `stop`."""
        epoch, order = -1, []
        for number in range(step, stop):
            cursor = self.cursor(number)
            if cursor.epoch != epoch:
                epoch, order = cursor.epoch, self.order(cursor.epoch)
            yield number, cursor, order[cursor.batch]


def share(places: Integers, rank: int, ranks: int) -> Integers:
    """The part of a batch that process `rank` of `ranks` reads; together they read all of it, and none twice."""
    if len(places) % ranks:
        raise ValueError(f"a batch of {len(places)} cannot be divided among {ranks}")
    return places.reshape(ranks, -1)[rank]
