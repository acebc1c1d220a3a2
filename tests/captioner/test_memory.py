"""The probed batch fills the free memory and not more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from captioner.memory import MEMORY_SHARE, cache_bytes_per_token, extrapolate, ladder, probe, round_down


def test_the_ladder_is_powers_of_two_and_the_steps_between() -> None:
    assert list(ladder())[:8] == [1, 2, 3, 4, 6, 8, 12, 16]
    assert max(ladder()) == 512


@pytest.mark.parametrize(("pictures", "size"), [(0.2, 1), (1, 1), (5.9, 4), (6, 6), (70, 64), (99_999, 512)])
def test_sizes_are_rounded_down_to_the_ladder(pictures: float, size: int) -> None:
    assert round_down(pictures) == size


@pytest.mark.parametrize("fixed", [0, 5 << 20, 900 << 20])
@pytest.mark.parametrize("growth", [1 << 20, 37 << 20])
def test_what_is_extrapolated_fits_and_one_step_more_does_not(fixed: int, growth: int) -> None:
    free, extra = 4 << 30, 3 << 20
    size = extrapolate(fixed + growth, fixed + 2 * growth, extra, free)
    assert fixed + size * (growth + extra) <= MEMORY_SHARE * free
    assert size == 512 or fixed + 1.5 * size * (growth + extra) >= 0.99 * MEMORY_SHARE * free


def test_too_little_memory_still_gives_one() -> None:
    assert extrapolate(10 << 30, 20 << 30, 0, 1 << 30) == 1


def test_probing_measures_one_and_two_after_a_warm_up() -> None:
    asked: list[int] = []

    def peak(pictures: int) -> int:
        asked.append(pictures)
        return (100 + 50 * pictures) << 20

    assert probe(peak, 0, lambda: 8 << 30) == 128
    assert asked == [1, 1, 2]


def test_the_cache_of_llava_7b_takes_half_a_mebibyte_a_token() -> None:
    text = SimpleNamespace(num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32, hidden_size=4096)
    assert cache_bytes_per_token(text, 2) == 512 * 1024
