"""Concept density at equal numbers of images: what n of a data set's N images would show, from its counts alone.

VN/DN depends on the number of images, so data sets are compared at the size of the smallest (`common_size`). Needed for
each noun: its occurrences c and the images m that hold it; and N. All are sums over shards; no caption is read again.

Values. J ~ Hypergeometric(N, m, n) of a noun's images are among the n. DN(n), the sum of P(J > 0), is exact: the Mao
Tau of Colwell, Mao & Chang (Ecology 85, 2004, eq. 5). For VN(n), occurrences image by image are not kept: every way to
place c occurrences on m images, at least one on each, is taken as equally likely, which cuts the row of c occurrences
at m - 1 of its c - 1 gaps. Fewer than k are sampled when J is at most the number of cuts among the first k - 1 gaps:
P(J <= H), H ~ Hypergeometric(c - 1, m - 1, k - 1). At n = N both are the counts themselves. Against real subsampling of
seven caption files (k = 10, VN over 15): within 0.7 % at N/10 to N/2, within 1.2 % at N/20.

Intervals. The N images are taken as a sample of what their source would give, and the 95 % interval is for the mean
over all of that; so there is one at n = N too. The variance published with Mao Tau takes nouns as independent of one
another; nouns of one caption are not, and its intervals covered 56 to 100 % on those files. Here, from the same counts:
DN: BUNCHING * (jackknife over images, nouns independent) + RICHNESS * slope^2 / N, slope = d DN / d log n;
VN: (1 - s) * T + RICHNESS * slope^2 / N + (MODEL * VN * (1 - n/N))^2, T the sum of p (1 - p) over nouns, p the chance
to be valid among n fresh images, s = sqrt(1 - n/N) the part of T that is left once the N images are given.
Covered: DN 91 % and more, VN 92 % (88 % where it is under 5). Too narrow where one caption stands at many images.

Leaves out: more than N images, and how a curve is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from analysis.count_files import group_files
from analysis.counts import NounCounts
from analysis.density import MIN_COUNT
from analysis.hypergeometric import Floats, Integers, log_hypergeometric
from core.errors import BadFieldError

#: Two-sided 95 % of the normal distribution, in standard deviations.
Z95 = 1.959964
#: Nouns that no other caption has come in bunches: variance over mean of their number per caption. On six caption
#: files: five 0.9 to 2.6, ImageInWords 3 to 5, where RICHNESS makes up the rest.
BUNCHING = 2.0
#: Captions differ in length and topic: squared coefficient of variation of the new nouns that each brings.
RICHNESS = 0.25
#: Standard error of VN(n), as a share of it, through what is not known of occurrences per image; n far below N.
MODEL = 0.01
#: The logistic curve with this slope is the normal distribution function to within 0.01.
LOGISTIC = 1.702


@dataclass(frozen=True, slots=True, eq=False)
class Abundance:
    """`nouns[i]` nouns have `occurrences[i]` occurrences in `image_counts[i]` images each (int64); `images` is N."""

    images: int
    occurrences: Integers
    image_counts: Integers
    nouns: Integers


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure at n images with its 95 % interval, low <= value <= high, as a sample of the data set's source.

    `error`: standard error behind the interval. `spread`: standard deviation between random choices of n of these very
    images, 0 at n = N. All in the figure's own unit.
    """

    value: float
    low: float
    high: float
    error: float
    spread: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected figures of `images` images: nouns with >= min_count occurrences are valid; `_over`: with more."""

    images: int
    min_count: int
    distinct: Figure
    valid: Figure
    valid_over: Figure
    valid_share: Figure
    valid_share_over: Figure


def from_counts(counts: NounCounts, *, names: bool = True) -> Abundance:
    """The histogram of counts in memory. `names`: whether PROPN counts too."""
    column = 0 if names else 2
    rows = [row[column : column + 2] for row in counts.nouns.values() if row[column]]
    pairs, nouns = np.unique(np.array(rows, np.int64).reshape(-1, 2), axis=0, return_counts=True)
    return Abundance(counts.totals.images, pairs[:, 0], pairs[:, 1], nouns.astype(np.int64))


def from_files(files: Sequence[Path | bytes], *, names: bool = True) -> Abundance:
    """The histogram of many shards' count files (`.nouns.parquet`: paths, or their bytes), grouped by DuckDB.

    Raises NothingToReadError without a file, BadFieldError where they were counted in different ways.
    """
    found = group_files(files, names=names)
    return Abundance(found.totals.images, found.occurrences, found.image_counts, found.nouns)


def at(abundance: Abundance, n: int, *, min_count: int = MIN_COUNT) -> Estimate:
    """The expected figures of n images drawn at random. Raises BadFieldError unless 1 <= n <= N and min_count >= 1."""
    return _estimate(abundance, _cuts(abundance, min_count), n)


def curve(abundance: Abundance, points: int = 40, *, min_count: int = MIN_COUNT) -> list[Estimate]:
    """Growth from 1 to N images, at most `points` sizes in equal steps of log n; empty without images."""
    if not abundance.images:
        return []
    cuts = _cuts(abundance, min_count)
    sizes = np.unique(np.geomspace(1, abundance.images, points).round().astype(np.int64))
    return [_estimate(abundance, cuts, int(n)) for n in sizes]


def common_size(abundances: Iterable[Abundance]) -> int:
    """Images of the smallest data set: the size at which all can be compared. Takes at least one."""
    return min(abundance.images for abundance in abundances)


def difference(ours: Figure, theirs: Figure) -> Figure:
    """Ours less theirs at equal n, for data sets that share no image; negative where theirs is higher."""
    error = math.hypot(ours.error, theirs.error)
    value = ours.value - theirs.value
    return Figure(value, value - Z95 * error, value + Z95 * error, error, math.hypot(ours.spread, theirs.spread))


def per_image(values: ArrayLike, n: int) -> Figure:
    """The mean of one value per image (`nouns` of `.samples.parquet`), which no n changes, with its normal interval.

    A single image says nothing of the deviation, which is then taken to be its value.
    """
    sample = np.asarray(values, np.float64)
    _check_size(n, len(sample))
    deviation = float(sample.std(ddof=1)) if len(sample) > 1 else float(sample[0])
    return _figure(float(sample.mean()), deviation**2 / len(sample), deviation**2 * (1 / n - 1 / len(sample)))


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """What no n changes, for the M distinct values of m. First axis of two: the thresholds k and k + 1.

    able (2): nouns with c >= threshold. weights (2, k + 1, M): the sum over those nouns of P(H = h), by h and m.
    """

    k: int
    image_counts: Integers  # [M]
    nouns: Floats  # [M]
    able: Integers
    weights: Floats


def _cuts(abundance: Abundance, k: int) -> _Cuts:
    if k < 1:
        raise BadFieldError(f"A noun cannot be valid from {k} occurrences.", hint="Give a minimum count of at least 1.")
    distinct, place = np.unique(abundance.image_counts, return_inverse=True)
    size = len(distinct)
    nouns = np.bincount(place, abundance.nouns, size).astype(np.float64)
    rows = abundance.occurrences >= k
    c, m, place, each = abundance.occurrences[rows], abundance.image_counts[rows], place[rows], abundance.nouns[rows]
    more = np.where(c > k, each, 0)
    weights = np.zeros((2, k + 1, size))
    for h, log in enumerate(log_hypergeometric(c - 1, m - 1, k - 1, k)):
        chance = np.exp(log)
        # With h cuts in k - 1 gaps, the chance that the next gap has one too.
        cut = np.maximum(m - 1 - h, 0) / np.maximum(c - k, 1)
        weights[0, h] = np.bincount(place, chance * each, size)
        weights[1, h] += np.bincount(place, chance * more * (1 - cut), size)
        weights[1, h + 1] = np.bincount(place, chance * more * cut, size)
    return _Cuts(k, distinct, nouns, np.array([each.sum(), more.sum()]), weights)


def _estimate(abundance: Abundance, cuts: _Cuts, n: int) -> Estimate:
    _check_size(n, abundance.images)
    at_most = np.zeros(len(cuts.nouns))
    short = np.zeros(2)
    for h, log in enumerate(log_hypergeometric(abundance.images, cuts.image_counts, n, cuts.k + 1)):
        if h == 0:
            distinct = _distinct(abundance.images, cuts, n, log)
        at_most += np.exp(log)
        short += cuts.weights[:, h] @ at_most
    values = np.maximum(0.0, cuts.able - short)
    valid, over = (_valid(abundance, n, cuts.k + step, float(value)) for step, value in enumerate(values))
    return Estimate(n, cuts.k, distinct, valid, over, _share(valid, distinct), _share(over, distinct))


def _check_size(n: int, images: int) -> None:
    if not 1 <= n <= images:
        raise BadFieldError(
            f"{n:,} images cannot be drawn from a data set of {images:,}.",
            hint="Compare at a size between 1 and the images of the smallest data set.",
        )


def _distinct(total: int, cuts: _Cuts, n: int, log_missed: Floats) -> Figure:
    m, nouns, missed = cuts.image_counts, cuts.nouns, np.exp(log_missed)
    # The chance that a given image of the noun is drawn and no other one of its images.
    only = n / total * np.exp(next(log_hypergeometric(total - 1, m - 1, n - 1, 1)))
    slope = float((nouns * m * only).sum())
    variance = BUNCHING * float((nouns * m * only**2).sum()) + RICHNESS * slope**2 / total
    spread = BUNCHING * float((nouns * missed * (1 - missed)).sum()) + RICHNESS * slope**2 * (1 / n - 1 / total)
    return _figure(float(-(nouns * np.expm1(log_missed)).sum()), variance, spread)


def _valid(abundance: Abundance, n: int, k: int, value: float) -> Figure:
    total = abundance.images
    # Fresh images: occurrences have mean c n/N; geometric counts per image make their variance 2 c/m - 1 times that.
    mean = abundance.occurrences * (n / total)
    deviation = np.sqrt(mean * (2 * abundance.occurrences / abundance.image_counts - 1))
    likely = 1 / (1 + np.exp(np.clip(LOGISTIC * (k - 0.5 - mean) / deviation, -50, 50)))
    each = abundance.nouns * likely * (1 - likely)
    slope = float((LOGISTIC * each * mean / deviation).sum())
    given = math.sqrt(1 - n / total)
    fresh = float(each.sum())
    variance = (1 - given) * fresh + RICHNESS * slope**2 / total + (MODEL * value * (1 - n / total)) ** 2
    return _figure(value, variance, given * fresh + RICHNESS * slope**2 * (1 / n - 1 / total))


def _share(valid: Figure, distinct: Figure) -> Figure:
    """VN / DN. The two rise and fall together; to take them as independent errs on the wide side."""
    if not distinct.value:
        return Figure(0.0, 0.0, 0.0, 0.0, 0.0)
    share = min(1.0, valid.value / distinct.value)
    error = math.hypot(valid.error, share * distinct.error) / distinct.value
    spread = math.hypot(valid.spread, share * distinct.spread) / distinct.value
    return _figure(share, error**2, spread**2, highest=1.0)


def _figure(value: float, variance: float, spread: float, highest: float = math.inf) -> Figure:
    error = math.sqrt(variance)
    low, high = max(0.0, value - Z95 * error), max(value, min(highest, value + Z95 * error))
    return Figure(value, low, high, error, math.sqrt(spread))
