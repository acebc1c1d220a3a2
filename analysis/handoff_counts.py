"""The counts of a hand-off: the sums over its shards, and whether they add up, samples in = captioned + rejected.

Leaves out: the manifest itself (shards/handoff.py), and counts that lie in the shards' files (handoff_verify.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from analysis.gates import Tally
from shards.handoff import HandoffShard, SplitCounts, Totals


def tally(totals: Totals, cut_off: int) -> Tally:
    """What the gates look at, of a hand-off with these totals."""
    return Tally(totals.samples_in, totals.rejected, totals.samples_held, totals.flagged, cut_off)


def count_problems(shards: Sequence[HandoffShard], images: int) -> list[str]:
    """One sentence for each count of these shards that does not add up; `images` is what the density table counted."""
    problems = []
    for shard in shards:
        accounted = shard.captioned + shard.rejected
        if shard.samples_in != accounted:
            problems.append(
                f"{shard.name}: {shard.samples_in} samples in, but {shard.captioned} captioned + {shard.rejected} "
                f"rejected = {accounted}: a difference of {shard.samples_in - accounted}."
            )
        if sum(shard.rejects.values()) != shard.rejected:
            problems.append(
                f"{shard.name}: {shard.rejected} rejected, but {sum(shard.rejects.values())} with a reason."
            )
        done = "captioned"
        if shard.kept is not None and shard.left_out is not None:
            done = "kept"
            if shard.captioned != shard.kept + shard.left_out:
                problems.append(
                    f"{shard.name}: {shard.captioned} captioned, but {shard.kept} kept + {shard.left_out} left out."
                )
        split = shard.splits.train + shard.splits.validation
        if split != shard.samples_held:
            problems.append(f"{shard.name}: {shard.samples_held} {done}, but {split} in the splits.")
    held = sum(shard.samples_held for shard in shards)
    if images != held:
        done = "captioned" if all(shard.kept is None for shard in shards) else "kept"
        problems.append(f"{held} samples are {done}, but the density table counted {images}.")
    return problems


def sum_up(shards: Sequence[HandoffShard]) -> Totals:
    """The totals of these shards."""
    rejects: Counter[str] = Counter()
    for shard in shards:
        rejects.update(shard.rejects)
    return Totals(
        shards=len(shards),
        samples_in=sum(shard.samples_in for shard in shards),
        captioned=sum(shard.captioned for shard in shards),
        rejected=sum(shard.rejected for shard in shards),
        kept=_sum(shard.kept for shard in shards),
        left_out=_sum(shard.left_out for shard in shards),
        flagged=sum(shard.flagged for shard in shards),
        rejects=dict(sorted(rejects.items())),
        splits=SplitCounts(
            train=sum(shard.splits.train for shard in shards),
            validation=sum(shard.splits.validation for shard in shards),
        ),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """None where there is none: without a keep nothing is counted as kept."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
