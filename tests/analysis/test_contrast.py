"""Gained and lost: valid on one side only at equal numbers of images, in the order of the difference of rates."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.contrast import Contrast, Shift, contrast

counts = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 60), max_size=8)
images = st.integers(1, 50)


def test_nouns_that_are_valid_on_one_side_only_are_gained_or_lost() -> None:
    found = contrast({"dog": 12, "cat": 30, "tree": 9}, 20, {"cat": 10, "tree": 8, "car": 11}, 20, min_count=10)
    assert found == Contrast((Shift("dog", 12, 0, 600.0, 0.0),), (Shift("car", 0, 11, 0.0, 550.0),), 1, 1)


def test_the_larger_side_is_scaled_to_the_images_of_the_smaller() -> None:
    # 40 occurrences in 400 images are 10 in 100: valid there; 39 are not.
    ours = {"dog": 40, "cat": 39}
    assert contrast(ours, 400, {}, 100, min_count=10).gained == (Shift("dog", 40, 0, 100.0, 0.0),)
    assert contrast({}, 100, ours, 400, min_count=10).lost == (Shift("dog", 0, 40, 0.0, 100.0),)
    assert contrast(ours, 400, {}, 400, min_count=10).gained_total == 2


def test_a_common_noun_that_grew_comes_before_a_rare_one_that_is_new() -> None:
    found = contrast({"new": 10, "grown": 100}, 50, {"grown": 9}, 50, min_count=10)
    assert [shift.noun for shift in found.gained] == ["grown", "new"]


def test_equal_differences_stand_in_the_order_of_the_alphabet() -> None:
    found = contrast({"b": 10, "c": 11, "a": 10}, 10, {"c": 1}, 10, min_count=10)
    assert [shift.noun for shift in found.gained] == ["a", "b", "c"]


def test_only_the_top_is_listed_and_all_are_counted() -> None:
    ours = {f"n{number:02d}": 10 + number for number in range(30)}
    found = contrast(ours, 10, {}, 10, min_count=10, top=3)
    assert [shift.noun for shift in found.gained] == ["n29", "n28", "n27"]
    assert (found.gained_total, found.lost_total) == (30, 0)
    assert len(contrast(ours, 10, {}, 10, min_count=10).gained) == 20
    assert contrast(ours, 10, {}, 10, min_count=10, top=0).gained == ()


@pytest.mark.parametrize(("ours", "theirs"), [(0, 5), (5, 0), (0, 0)])
def test_against_nothing_nothing_is_gained_or_lost(ours: int, theirs: int) -> None:
    found = contrast({"a": 20} if ours else {}, ours, {"b": 20} if theirs else {}, theirs, min_count=1)
    assert found == Contrast((), (), 0, 0)


@settings(deadline=None)
@given(ours=counts, our_images=images, theirs=counts, their_images=images, min_count=st.integers(1, 12))
def test_any_counts_agree_with_a_slow_recount_in_fractions(
    ours: dict[str, int], our_images: int, theirs: dict[str, int], their_images: int, min_count: int
) -> None:
    common = min(our_images, their_images)
    nouns = ours.keys() | theirs.keys()
    rates = {n: (Fraction(ours.get(n, 0), our_images), Fraction(theirs.get(n, 0), their_images)) for n in nouns}
    gained = {noun for noun, (here, there) in rates.items() if here * common >= min_count > there * common}
    lost = {noun for noun, (here, there) in rates.items() if there * common >= min_count > here * common}
    found = contrast(ours, our_images, theirs, their_images, min_count=min_count)
    assert [shift.noun for shift in found.gained] == sorted(gained, key=lambda n: (rates[n][1] - rates[n][0], n))
    assert [shift.noun for shift in found.lost] == sorted(lost, key=lambda n: (rates[n][0] - rates[n][1], n))
    assert (found.gained_total, found.lost_total) == (len(gained), len(lost))
    back = contrast(theirs, their_images, ours, our_images, min_count=min_count)
    assert [shift.noun for shift in back.lost] == [shift.noun for shift in found.gained]


def test_a_contrast_has_plain_values_for_json() -> None:
    found = contrast({"dog": 10}, 20, {}, 20, min_count=10).as_dict()
    assert found == {
        "gained": ({"noun": "dog", "ours": 10, "theirs": 0, "ours_per_1000": 500.0, "theirs_per_1000": 0.0},),
        "lost": (),
        "gained_total": 1,
        "lost_total": 0,
    }
