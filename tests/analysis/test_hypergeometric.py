"""Probabilities of drawing marked images, against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from analysis.hypergeometric import log_hypergeometric


@pytest.mark.parametrize("total", [1, 2, 7, 30])
def test_every_probability_equals_the_exact_fraction(total: int) -> None:
    marked = np.arange(total + 1)
    for drawn in range(total + 1):
        for h, log in enumerate(log_hypergeometric(total, marked, drawn, total + 1)):
            for m, value in zip(marked.tolist(), np.exp(log), strict=True):
                ways = math.comb(m, h) * math.comb(total - m, drawn - h) if drawn >= h else 0
                exact = Fraction(ways, math.comb(total, drawn))
                assert value == pytest.approx(float(exact), rel=1e-11, abs=1e-300)


def test_what_cannot_be_has_no_probability() -> None:
    # Three of four images are marked: two draws cannot miss them all, and cannot hit three.
    logs = list(log_hypergeometric(4, np.array([3]), 2, 4))
    assert [float(np.exp(log[0])) for log in logs] == pytest.approx([0.0, 0.5, 0.5, 0.0])


def test_a_hundred_million_images_keep_their_digits() -> None:
    (log,) = log_hypergeometric(10**8, np.array([1]), 5 * 10**7, 1)
    assert math.exp(log[0]) == pytest.approx(0.5, rel=1e-11)
