"""The watchdog stops what repeats itself, row by row, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captioner.watchdog import LONGEST_PERIOD, LOOK_EVERY, TAIL, Watchdog, copies_needed, looping

END = 2


def rows(*tokens: list[int]) -> np.ndarray:
    return np.array(tokens, dtype=np.int64)


@pytest.mark.parametrize("period", [1, 2, 3, 7, 8, 12, 25, LONGEST_PERIOD])
def test_a_block_repeated_often_enough_is_a_loop(period: int) -> None:
    block = list(range(10, 10 + period))
    enough = block * copies_needed(period)
    assert looping(rows(enough)).all()
    assert not looping(rows([99, *enough[1:]])).any() or period == 1


def test_one_token_too_few_is_no_loop() -> None:
    assert not looping(rows([7] * 23)).any()
    assert looping(rows([7] * 24)).all()


@given(st.integers(1, LONGEST_PERIOD), st.integers(0, 60), st.randoms(use_true_random=False))
def test_any_loop_is_found_whatever_stood_before_it(period: int, before: int, random: object) -> None:
    block = [random.randrange(1000) for _ in range(period)]  # type: ignore[attr-defined]
    tokens = [random.randrange(1000) for _ in range(before)] + block * copies_needed(period)  # type: ignore[attr-defined]
    assert looping(rows(tokens[-TAIL:])).all()


def test_words_that_do_not_repeat_are_no_loop() -> None:
    assert not looping(np.random.default_rng(0).integers(0, 500, (64, TAIL))).any()


def run(watchdog: Watchdog, tokens: torch.Tensor, prompt: int) -> torch.Tensor:
    done = torch.zeros(tokens.shape[0], dtype=torch.bool)
    for length in range(prompt + 1, tokens.shape[1] + 1):
        done = watchdog(tokens[:, :length])
    return done


def test_rows_stop_one_by_one_at_a_look() -> None:
    prompt = [5] * 10
    loop = [*prompt, *([7, 8] * 20)]
    free = [*prompt, *range(100, 140)]
    watchdog = Watchdog(len(prompt), {END})
    done = run(watchdog, torch.tensor([loop, free]), len(prompt))
    assert done.tolist() == [True, False]
    assert watchdog.stopped == {0: 24}
    assert 24 % LOOK_EVERY == 0


def test_a_prompt_that_repeats_itself_is_no_loop() -> None:
    watchdog = Watchdog(60, {END})
    assert not run(watchdog, torch.tensor([[7] * 60 + [1, 2, 3, 4, 5, 6, 8, 9]]), 60).any()


def test_the_padding_of_a_row_that_ended_is_no_loop() -> None:
    for pad in (END, 0):
        watchdog = Watchdog(0, {END})
        run(watchdog, torch.tensor([[4, 5, END, *([pad] * 61)]]), 0)
        assert watchdog.stopped == {}


def test_where_a_row_stops_does_not_depend_on_its_neighbours() -> None:
    loop = [3, *([7, 8, 9] * 20)]
    alone, beside = Watchdog(0, {END}), Watchdog(0, {END})
    run(alone, torch.tensor([loop]), 0)
    run(beside, torch.tensor([list(range(100, 161)), loop, [6] * 61]), 0)
    assert alone.stopped[0] == beside.stopped[1]
