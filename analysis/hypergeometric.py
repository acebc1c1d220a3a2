"""Logarithms of hypergeometric probabilities, of many nouns at once: eleven digits are right at 1e8 images.

Serves rarefaction.py. Leaves out sums of them: callers add up the terms that they need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: log x! less Stirling's first terms, for x below 16; from 16 on four terms of the series are exact to 1e-14.
_STIRLING = np.array(
    [0.0] + [math.lgamma(x + 1) - (x + 0.5) * math.log(x) + x - 0.5 * math.log(2 * math.pi) for x in range(1, 16)]
)


def log_hypergeometric(total: ArrayLike, marked: Integers, drawn: int, k: int) -> Iterator[Floats]:
    """Yields log P(h of the `drawn` out of `total` are marked), for h = 0 .. k - 1; -inf where that cannot be."""
    rest = np.asarray(total) - marked - drawn
    first = np.maximum(0, -rest)
    anchor = _at(np.asarray(total), marked, drawn, first)
    log = np.where(first == 0, anchor, -np.inf)
    for h in range(k):
        if h:
            ratio = np.maximum(marked - (h - 1.0), 0) * max(drawn - (h - 1.0), 0) / (h * np.maximum(rest + h, 1.0))
            with np.errstate(divide="ignore"):
                log = np.where(first == h, anchor, log + np.log(ratio))
        yield log


def _at(total: Integers, marked: Integers, drawn: int, h: Integers) -> Floats:
    """By three binomial probabilities (Loader, "Fast and accurate computation of binomial probabilities", 2000).

    Factorials of 1e8 have logarithms of 1e9, whose differences keep eight digits; here nothing large is subtracted.
    """
    p = drawn / np.maximum(total, 1)
    return _log_binomial(h, marked, p) + _log_binomial(drawn - h, total - marked, p) - _log_binomial(drawn, total, p)


def _log_binomial(x: ArrayLike, n: ArrayLike, p: Floats) -> Floats:
    x, n, p = np.broadcast_arrays(x, n, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        none = np.where(n == 0, 0.0, n * np.log1p(-p))
        remainder = _stirling(n) - _stirling(x) - _stirling(n - x)
        deviance = _deviance(x, n * p) + _deviance(n - x, n * (1 - p))
        some = remainder - deviance + 0.5 * np.log(n / (2 * np.pi * x * (n - x)))
        return np.where(x == 0, none, np.where(x == n, n * np.log(p), some))


def _stirling(x: Integers) -> Floats:
    """log x! - log(sqrt(2 pi x) (x/e)^x)."""
    small = x < len(_STIRLING)
    inverse = 1 / np.where(small, 16.0, x)
    square = inverse**2
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    return np.where(small, _STIRLING[np.where(small, x, 0)], series)


def _deviance(x: Integers, mean: Floats) -> Floats:
    """x log(x / mean) + mean - x, by its series where the two are close."""
    u = (x - mean) / mean
    series = u * u * (1 / 2 - u * (1 / 6 - u * (1 / 12 - u * (1 / 20 - u * (1 / 30 - u * (1 / 42 - u / 56))))))
    return mean * np.where(np.abs(u) < 0.01, series, (1 + u) * np.log1p(u) - u)
