"""map_ahead: ordered, bounded, and honest about exceptions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.ahead import map_ahead


def test_results_keep_their_order_and_the_source_is_not_run_away_with() -> None:
    pulled = 0

    def items() -> Iterator[int]:
        nonlocal pulled
        for number in range(100):
            pulled += 1
            yield number

    with ThreadPoolExecutor(4) as pool:
        results = []
        for result in map_ahead(lambda n: n * n, items(), pool, 5):
            results.append(result)
            assert pulled - len(results) <= 5
    assert results == [n * n for n in range(100)]


def test_an_exception_comes_at_its_place_and_the_rest_is_dropped() -> None:
    began = threading.Event()

    def work(number: int) -> int:
        began.set()
        if number == 3:
            raise ValueError("three")
        return number

    results = []
    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="three"):
        for result in map_ahead(work, range(10), pool, 4):
            results.append(result)
    assert results == [0, 1, 2]
