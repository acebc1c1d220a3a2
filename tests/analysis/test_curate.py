"""The choice is the plain greedy one, keeps its guarantee, and is the same every time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.curate import GUARANTEE, Choice, SampleNouns, choose, value
from core.errors import BadFieldError

Bag = dict[str, int]

NOUNS = "abcdefgh"
bags = st.lists(st.dictionaries(st.sampled_from(NOUNS), st.integers(1, 6), max_size=5), min_size=1, max_size=12)


def matrix(samples: Sequence[Bag]) -> SampleNouns:
    entries = [(NOUNS.index(noun), count) for bag in samples for noun, count in bag.items()]
    starts = np.cumsum([0, *(len(bag) for bag in samples)])
    columns, counts = np.array(entries, np.int32).reshape(-1, 2).T
    return SampleNouns(NOUNS, starts, columns, counts)


def limits(cap: int, **others: int) -> np.ndarray:
    return np.array([others.get(noun, cap) for noun in NOUNS], np.int64)


def picked(samples: Sequence[Bag], caps: np.ndarray, budget: int) -> Choice:
    return choose(matrix(samples), caps, budget)


def f_of(samples: Sequence[Bag], caps: np.ndarray, rows: Sequence[int]) -> int:
    """F in plain Python."""
    held: Counter[str] = Counter()
    for row in rows:
        held.update(samples[row])
    return sum(min(held[noun], int(cap)) for noun, cap in zip(NOUNS, caps, strict=True))


def plain_greedy(samples: Sequence[Bag], caps: np.ndarray, budget: int) -> list[int]:
    """The rule without any cleverness: every sample's gain at every step; doubled caps when nothing is gained."""
    rows: list[int] = []
    held: Counter[str] = Counter()
    factor = 1
    while len(rows) < budget:
        room = {noun: max(int(cap) * factor - held[noun], 0) for noun, cap in zip(NOUNS, caps, strict=True)}
        others = [row for row in range(len(samples)) if row not in rows]
        gains = {row: sum(min(count, room[noun]) for noun, count in samples[row].items()) for row in others}
        best = max(others, key=lambda row: (gains[row], -row))
        if not gains[best] and factor < 1 << 20:
            factor *= 2
            continue
        rows.append(best)
        held.update(samples[best])
    return rows


# ---- the greedy rule ------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(bags, st.data())
def test_the_lazy_choice_is_the_plain_greedy_choice(samples: list[Bag], data: st.DataObject) -> None:
    caps = np.array(data.draw(st.lists(st.integers(0, 12), min_size=8, max_size=8)), np.int64)
    budget = data.draw(st.integers(1, len(samples)))
    choice = picked(samples, caps, budget)
    assert choice.rows.tolist() == plain_greedy(samples, caps, budget)
    steps = [f_of(samples, caps, choice.rows[:stop].tolist()) for stop in range(budget + 1)]
    assert choice.gains.tolist() == np.diff(steps).tolist()
    assert choice.reached == steps[-1] == value(matrix(samples).totals(choice.rows), caps)


def test_blocks_and_levels_change_nothing_with_many_samples() -> None:
    draw = np.random.default_rng(3)
    samples = [dict(Counter(draw.choice(list(NOUNS), draw.integers(0, 9)))) for _ in range(700)]
    caps = limits(40, a=3, b=0)
    assert picked(samples, caps, 120).rows.tolist() == plain_greedy(samples, caps, 120)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NOUNS), st.integers(1, 6)), min_size=1, max_size=7), st.data())
def test_the_choice_reaches_the_guaranteed_share_of_the_best(samples: list[Bag], data: st.DataObject) -> None:
    caps = limits(data.draw(st.integers(1, 9)))
    budget = data.draw(st.integers(1, len(samples)))
    best = max(f_of(samples, caps, rows) for rows in itertools.combinations(range(len(samples)), budget))
    choice = picked(samples, caps, budget)
    assert choice.reached >= GUARANTEE * best
    assert choice.best_at_most >= best
    assert choice.reached >= choice.share_of_best * best - 1e-9


def test_a_choice_that_reaches_everything_is_known_to_be_the_best() -> None:
    choice = picked([{"a": 2}, {"a": 1}, {"b": 1}], limits(2), 2)
    assert (choice.rows.tolist(), choice.share_of_best) == ([0, 2], 1.0)


def test_of_equal_samples_the_first_of_the_input_is_chosen() -> None:
    choice = picked([{"a": 1}, {"b": 1}, {"c": 1}, {"c": 1}], limits(1), 3)
    assert choice.rows.tolist() == [0, 1, 2]


# ---- caps -----------------------------------------------------------------------------------------------------------


def test_a_noun_at_its_cap_adds_nothing_more() -> None:
    assert picked([{"a": 3}, {"a": 4}, {"b": 1}], limits(4), 2).rows.tolist() == [1, 2]


def test_a_cap_of_a_single_noun_goes_before_the_general_one() -> None:
    samples = [{"a": 5}, {"b": 3}]
    assert picked(samples, limits(10), 1).rows.tolist() == [0]
    assert picked(samples, limits(10, a=2), 1).rows.tolist() == [1]
    assert picked(samples, limits(1, b=10), 1).rows.tolist() == [1]


def test_a_cap_of_nought_takes_a_noun_out_of_the_choice() -> None:
    choice = picked([{"a": 9}, {"b": 1}, {}], limits(10, a=0), 3)
    assert (choice.rows.tolist(), choice.reached) == ([1, 0, 2], 1)


def test_a_cap_beyond_all_counts_is_no_cap() -> None:
    assert picked([{"a": 1}, {"a": 5}], limits(1 << 40), 2).gains.tolist() == [5, 1]


# ---- the rest of the budget -----------------------------------------------------------------------------------------


def test_what_is_left_of_the_budget_goes_by_doubled_caps() -> None:
    # With a cap of 2 the first two samples are enough; the second two of `a` are worth more than one more `b`.
    choice = picked([{"a": 2}, {"b": 2}, {"b": 1}, {"a": 2}], limits(2), 4)
    assert choice.rows.tolist() == [0, 1, 3, 2]
    assert (choice.gains.tolist(), choice.filling) == ([2, 2, 0, 0], 2)


def test_samples_without_nouns_are_never_chosen_before_others() -> None:
    samples = [{}, {"a": 1}, {}, {"a": 1}, {"a": 1}]
    for budget in range(1, 6):
        assert picked(samples, limits(1), budget).rows.tolist() == [1, 3, 4, 0, 2][:budget]


def test_captions_without_any_noun_are_chosen_in_their_order() -> None:
    choice = picked([{}, {}, {}], limits(10), 2)
    assert (choice.rows.tolist(), choice.reached, choice.share_of_best) == ([0, 1], 0, 1.0)


# ---- the budget -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, -1, 3])
def test_a_budget_that_cannot_be_is_refused(budget: int) -> None:
    with pytest.raises(BadFieldError, match="budget"):
        picked([{"a": 1}, {"b": 1}], limits(10), budget)
