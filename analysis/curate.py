"""Choosing the samples that lift valid nouns most: greedy over F(S) = sum over nouns of min(occurrences in S, cap).

F is monotone and submodular: the more is chosen, the less a sample adds. So the greedy choice of k samples reaches at
least 1 - 1/e of the best F that any k samples have (Nemhauser, Wolsey and Fisher 1978). An old gain is an upper bound
of the gain now, so only samples whose old gain is the greatest are looked at again (Minoux's lazy greedy). Gains are
whole numbers, so instead of a heap there are levels: all samples of one old gain, in the order of the input.

Leaves out: how samples are read (curate_input.py), and what the choice is compared with (curate_report.py).
Letters: N samples, V distinct nouns, Z entries (pairs of a sample and a noun in it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadFieldError

Ints = NDArray[np.int64]

#: The share of the best F that the greedy choice cannot fall short of.
GUARANTEE = 1 - 1 / math.e
GUARANTEE_SENTENCE = (
    "The greedy choice reaches at least 63.2 % (1 - 1/e) of the greatest F that any choice of this size has."
)
FILL_SENTENCE = (
    "Once no sample raises F, all caps are doubled, as often as needed, and the choice goes on by the same rule; "
    "samples without a noun that counts come last, in the order of the input."
)
#: Equal parts of the choice after which the upper bound of the best F is computed.
BOUND_STEPS = 8
#: Samples whose gains are computed together; a choice among them makes the gains of the rest old again.
BLOCK = 256


@dataclass(frozen=True, eq=False)
class SampleNouns:
    """The nouns of N samples as a sparse matrix in rows (CSR).

    Sample i has `counts[e]` occurrences of `nouns[columns[e]]`, for e in starts[i] to starts[i + 1] - 1.
    """

    nouns: Sequence[str]  # (V,)
    starts: Ints  # (N + 1,)
    columns: NDArray[np.int32]  # (Z,)
    counts: NDArray[np.int32]  # (Z,)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def totals(self, rows: Ints | None = None) -> Ints:
        """Occurrences of each noun in these samples, or in all: (V,)."""
        columns, counts, _ = self._entries(rows)
        # Weighted counts are floats, exact far beyond any number of occurrences (2**53).
        return np.bincount(columns, weights=counts, minlength=len(self.nouns)).astype(np.int64)

    def gains(self, left: Ints, rows: Ints | None = None) -> Ints:
        """What each of these samples, or of all, would add to F where nouns have `left` (V,) to go to their caps."""
        columns, counts, starts = self._entries(rows)
        sums = np.zeros(len(columns) + 1, np.int64)
        np.cumsum(np.minimum(counts, left[columns]), out=sums[1:])
        return np.diff(sums[starts])

    def _entries(self, rows: Ints | None) -> tuple[Any, Any, Ints]:
        """(columns, counts, starts) of these samples, or of all."""
        if rows is None:
            return self.columns, self.counts, self.starts
        lengths = self.starts[rows + 1] - self.starts[rows]
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return self.columns[places], self.counts[places], starts


@dataclass(frozen=True, eq=False)
class Choice:
    """k chosen samples in the order of the choice.

    `gains` (k,) is what each added to F: its sum is `reached`, and it is 0 for samples that only fill the budget.
    `best_at_most`: no k samples have a greater F.
    """

    rows: Ints
    gains: Ints
    reached: int
    best_at_most: int

    @property
    def filling(self) -> int:
        """How many samples were chosen after nothing could raise F."""
        return int((self.gains == 0).sum())

    @property
    def share_of_best(self) -> float:
        """F is at least this share of the best: what is proven for every greedy choice, or more for this one."""
        return max(GUARANTEE, self.reached / self.best_at_most) if self.best_at_most else 1.0


def value(held: Ints, caps: Ints) -> int:
    """F of a choice with these occurrences of each noun."""
    return int(np.minimum(held, caps).sum())


def check_budget(budget: int, samples: int | None = None) -> None:
    """Raises BadFieldError for a budget below 1, or above the number of samples where that is known."""
    if budget < 1:
        raise BadFieldError(f"The budget is {budget}: at least 1 sample must be chosen.")
    if samples is not None and budget > samples:
        raise BadFieldError(
            f"The budget is {budget:,} samples, but there are only {samples:,}.", hint="Choose at most that many."
        )


def choose(samples: SampleNouns, caps: Ints, budget: int) -> Choice:
    """Chooses `budget` samples; `caps` (V,) says from which occurrence on a noun adds nothing (0: never anything).

    Of equal gains the first in the input is taken. FILL_SENTENCE says what follows once nothing is gained any more.
    Raises BadFieldError for a budget that is not from 1 to N.
    """
    check_budget(budget, len(samples))
    greedy = _Greedy(samples, budget)
    everything = samples.totals()
    # No noun has more occurrences than there are, so a greater cap is the same (and could overflow when doubled).
    caps = np.minimum(caps, everything)
    greedy.take(caps)
    gains = np.array(greedy.gains + [0] * (budget - len(greedy.gains)), np.int64)
    reached = int(gains.sum())
    bound = _upper_bound(samples, caps, np.array(greedy.rows, np.int64), budget)
    while len(greedy.rows) < budget and (caps < everything)[caps > 0].any():
        caps = np.minimum(caps * 2, everything)
        greedy.take(caps)
    rows = np.array(greedy.rows, np.int64)
    if len(rows) < budget:
        others = np.ones(len(samples), bool)
        others[rows] = False
        rows = np.concatenate([rows, np.flatnonzero(others)[: budget - len(rows)]])
    return Choice(rows, gains, reached, bound)


class _Greedy:
    """A choice under way: `rows` and their `gains` so far; `held` (V,) counts the nouns in them."""

    def __init__(self, samples: SampleNouns, budget: int) -> None:
        self.samples, self.budget = samples, budget
        self.rows: list[int] = []
        self.gains: list[int] = []
        self.held = np.zeros(len(samples.nouns), np.int64)

    def take(self, caps: Ints) -> None:
        """Chooses by these caps until the budget is full or no sample adds anything."""
        left = np.maximum(caps - self.held, 0)
        bounds = self.samples.gains(left)
        bounds[self.rows] = 0
        while len(self.rows) < self.budget and (level := int(bounds.max())):
            at_level = np.flatnonzero(bounds == level)
            for start in range(0, len(at_level), BLOCK):
                rows = at_level[start : start + BLOCK]
                bounds[rows] = self.samples.gains(left, rows)
                self._take_level(level, rows[bounds[rows] == level], left, bounds)

    def _take_level(self, level: int, rows: Ints, left: Ints, bounds: Ints) -> None:
        """Chooses, in their order, those of `rows` that still gain `level` (no sample gains more)."""
        for row in rows.tolist():
            if len(self.rows) == self.budget:
                return
            entries = slice(*self.samples.starts[row : row + 2].tolist())
            here, occurrences = self.samples.columns[entries], self.samples.counts[entries]
            added = np.minimum(occurrences, left[here])
            bounds[row] = added.sum()
            if bounds[row] == level:
                bounds[row] = 0
                self.rows.append(row)
                self.gains.append(level)
                self.held[here] += occurrences
                left[here] -= added


def _upper_bound(samples: SampleNouns, caps: Ints, rows: Ints, budget: int) -> int:
    """No `budget` samples have a greater F than this.

    Whatever has been chosen, the best choice adds at most the `budget` greatest gains of single samples to it
    (Leskovec et al. 2007, section 3.2); and no choice has more than all samples together.
    """
    best = value(samples.totals(), caps)
    for stop in sorted({len(rows) * step // BOUND_STEPS for step in range(BOUND_STEPS + 1)}):
        held = samples.totals(rows[:stop])
        gains = samples.gains(np.maximum(caps - held, 0))
        # A chosen sample adds nothing a second time.
        gains[rows[:stop]] = 0
        most = gains if budget >= len(gains) else np.partition(gains, len(gains) - budget)[-budget:]
        best = min(best, value(held, caps) + int(most.sum()))
    return best
