"""Faults that pass are tried again after a wait that grows, others are not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from captioner.retries import LONGEST_RETRY_AFTER_S, LONGEST_S, delay_s, may_pass, retry_after_s


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_passing_faults_are_tried_again(status: int) -> None:
    assert may_pass(status)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413, 422])
def test_lasting_faults_are_not(status: int) -> None:
    assert not may_pass(status)


def test_waits_are_drawn_below_a_ceiling_that_doubles() -> None:
    for attempt in range(12):
        waits = [delay_s(attempt) for _ in range(200)]
        ceiling = min(LONGEST_S, 0.5 * 2**attempt)
        assert 0 <= min(waits) < 0.2 * ceiling
        assert 0.8 * ceiling < max(waits) <= ceiling


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("99999", LONGEST_RETRY_AFTER_S),
        ("Wed, 21 Oct 2026 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)) == seconds
