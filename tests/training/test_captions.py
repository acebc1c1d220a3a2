"""The caption policy: rates within their binomial interval, chosen anew each epoch, the same for the same key."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from training.captions import choose
from training.recipe import Captions

KEYS = [f"key{number}" for number in range(4000)]


@pytest.mark.parametrize(("dropout", "old_text"), [(0.1, 0.0), (0.1, 0.5), (0.5, 0.2), (0.0, 1.0), (1.0, 1.0)])
def test_rates_are_those_of_the_recipe(dropout: float, old_text: float) -> None:
    policy = Captions(dropout=dropout, old_text=old_text)
    found = Counter(choose(policy, 0, 0, key) for key in KEYS)
    for text, share in (("none", dropout), ("old_text", (1 - dropout) * old_text)):
        deviation = math.sqrt(len(KEYS) * share * (1 - share))
        assert abs(found[text] - len(KEYS) * share) <= 4 * deviation


def test_every_epoch_chooses_anew_and_every_machine_the_same() -> None:
    policy = Captions(dropout=0.3)
    first, second = ([choose(policy, 7, epoch, key) for key in KEYS] for epoch in (0, 1))
    assert first == [choose(policy, 7, 0, key) for key in KEYS]
    both = sum(one == other == "none" for one, other in zip(first, second, strict=True)) / len(KEYS)
    assert 0.06 < both < 0.12, "two independent draws: 0.09"
    assert first != [choose(policy, 8, 0, key) for key in KEYS]


def test_a_higher_rate_drops_what_a_lower_one_drops() -> None:
    few, many = ({key for key in KEYS if choose(Captions(dropout=rate), 0, 0, key) == "none"} for rate in (0.1, 0.2))
    assert few < many


def test_without_old_text_the_caption_is_read() -> None:
    policy = Captions(dropout=0.0, old_text=0.5)
    assert "old_text" in {choose(policy, 0, 0, key) for key in KEYS}
    assert {choose(policy, 0, 0, key, has_old_text=False) for key in KEYS} == {"caption"}


def test_who_reads_old_text_alone_never_reads_a_caption() -> None:
    policy = Captions(dropout=0.0, old_text=1.0)
    assert {choose(policy, 0, 0, key) for key in KEYS} == {"old_text"}
    assert {choose(policy, 0, 0, key, has_old_text=False) for key in KEYS} == {"none"}
