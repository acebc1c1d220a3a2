"""What a data set gained and lost against its baseline: nouns that are valid in one of the two only.

A noun of c occurrences in N images has c n/N expected occurrences in n of them drawn at random. At the common number
of images n, that of the smaller data set, a noun is valid where it is expected at least `min_count` times. Gained:
valid in ours and not in theirs; lost: the other way round. A noun that is absent has no occurrences.

Order: by the difference of occurrences per 1,000 images, the greatest first, and by the alphabet where it is the same.
A difference of rates, not their ratio: a ratio puts nouns first that one side lacks, however rare in the other.

Serves the density reports. Leaves out: how many images a noun stands in, so that one caption which repeats a noun
counts as often as it does so; and how the number of valid nouns grows with images (rarefaction.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shift:
    """One noun on both sides: `ours` and `theirs` are all its occurrences, beside them those per 1,000 images."""

    noun: str
    ours: int
    theirs: int
    ours_per_1000: float
    theirs_per_1000: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """The nouns with the greatest difference, and how many there are in all: `gained_total`, `lost_total`."""

    gained: tuple[Shift, ...]
    lost: tuple[Shift, ...]
    gained_total: int
    lost_total: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def contrast(
    ours: Mapping[str, int],
    our_images: int,
    theirs: Mapping[str, int],
    their_images: int,
    *,
    min_count: int,
    top: int = 20,
) -> Contrast:
    """Compares occurrences by noun, counted in the same way. `top`: the most nouns listed of each kind.

    A data set without images has neither: nothing is gained or lost against it.
    """
    gained = _only_in(ours, our_images, theirs, their_images, min_count)
    lost = _only_in(theirs, their_images, ours, our_images, min_count)

    def shift(noun: str) -> Shift:
        here, there = ours.get(noun, 0), theirs.get(noun, 0)
        return Shift(noun, here, there, 1000 * here / our_images, 1000 * there / their_images)

    return Contrast(tuple(map(shift, gained[:top])), tuple(map(shift, lost[:top])), len(gained), len(lost))


def _only_in(
    ours: Mapping[str, int], our_images: int, theirs: Mapping[str, int], their_images: int, min_count: int
) -> list[str]:
    """The nouns valid in ours and not in theirs, in the order of the report. All in exact integers."""
    common = min(our_images, their_images)
    if not common:
        return []
    found = []
    for noun, here in ours.items():
        there = theirs.get(noun, 0)
        if here * common >= min_count * our_images and there * common < min_count * their_images:
            # The difference of the two rates, times both numbers of images.
            found.append((there * our_images - here * their_images, noun))
    return [noun for _, noun in sorted(found)]
