"""Aspect buckets: forty ratios of about one area, every image in the nearest, and what it costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.buckets import Bucket, Buckets, cover


@pytest.mark.parametrize(("resolution", "step"), [(1024, 32), (512, 16), (256, 16), (64, 8)])
def test_shapes_are_of_one_area_and_of_ratios_from_a_quarter_to_four(resolution: int, step: int) -> None:
    shapes = Buckets(resolution, step).shapes
    assert Bucket(resolution, resolution) in shapes
    assert all(shape.height % step == 0 and shape.width % step == 0 for shape in shapes)
    assert shapes[0].ratio == pytest.approx(0.25, rel=0.2)
    assert shapes[-1].ratio == pytest.approx(4, rel=0.2)
    assert [shape.ratio for shape in shapes] == sorted(shape.ratio for shape in shapes)
    areas = [shape.height * shape.width / resolution**2 for shape in shapes]
    assert min(areas) > 1 - 3 * step / resolution
    assert max(areas) < 1 + 3 * step / resolution


def test_at_a_high_resolution_there_are_forty_ratios_and_the_square() -> None:
    assert len(Buckets(1024, 32).shapes) >= 35
    assert len(Buckets(1024, 8).shapes) == 41
    assert Buckets(64, 8, ratios=1).shapes == (Bucket(64, 64),)


def test_an_image_goes_where_its_ratio_is_nearest() -> None:
    buckets = Buckets(512, 16)
    assert buckets.of(640, 480).ratio == pytest.approx(0.75, rel=0.06)
    assert buckets.of(300, 300) == Bucket(512, 512)
    assert buckets.of(10, 1000) == buckets.shapes[-1]


@settings(deadline=None)
@given(width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_the_scaled_image_covers_its_bucket_and_the_cut_is_in_its_middle(width: int, height: int) -> None:
    shape = Buckets(256, 16).of(width, height)
    (wide, high), (left, top, right, bottom) = cover(width, height, shape)
    assert (right - left, bottom - top) == (shape.width, shape.height)
    assert left >= 0
    assert top >= 0
    assert right <= wide
    assert bottom <= high
    assert abs((left + right) - wide) <= 1
    assert abs((top + bottom) - high) <= 1
    assert shape.width in (wide, right - left)
    assert wide == shape.width or high == shape.height


def test_waste_counts_left_over_images_and_cut_pixels() -> None:
    buckets = Buckets(64, 8, ratios=1)
    counts, waste = buckets.waste([(64, 64)] * 5 + [(128, 64)] * 2, batch=4)
    assert counts == {Bucket(64, 64): 7}
    assert (waste.images, waste.left_over) == (7, 3)
    assert waste.cut == pytest.approx(1 - 7 / 9), "of nine squares' worth of pixels seven are kept"


def test_images_of_a_shape_with_too_few_go_into_the_nearest_that_is_full() -> None:
    buckets = Buckets(64, 8)
    many = [(64, 64)] * 8 + [(128, 64)] * 8
    assert buckets.filled(many, 8).open == buckets.shapes, "nothing changes where no shape has too few"
    sizes = [*many, (150, 64), (30, 120)]
    filled = buckets.filled(sizes, 8)
    assert filled.of(150, 64) == buckets.of(128, 64) != buckets.of(150, 64)
    assert filled.of(30, 120) == Bucket(64, 64), "the nearest of those that are full, however far"
    assert filled.own(30, 120) == buckets.of(30, 120) == filled.shapes[-1]
    counts, waste = filled.waste(sizes, 8)
    assert set(counts.values()) == {9}
    assert (waste.moved, waste.merged, waste.left_over) == (2, 2, 2)


@settings(deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(20, 500), st.integers(20, 500)), min_size=1, max_size=60),
    batch=st.integers(1, 20),
)
def test_no_shape_has_too_few_as_long_as_all_together_fill_a_batch(sizes: list[tuple[int, int]], batch: int) -> None:
    counts, waste = Buckets(64, 8).filled(sizes, batch).waste(sizes, batch)
    assert counts.total() == len(sizes)
    assert min(counts.values()) >= min(batch, len(sizes))
    assert waste.left_over < batch * len(counts)


def test_a_resolution_that_the_step_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="not divisible"):
        Buckets(100, 16)
