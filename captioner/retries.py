"""When to ask an endpoint again, and how long to wait before: exponential back-off with full jitter.

Serves openai_engine.py. The random waits have no part in what a caption becomes.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_S = 0.5
LONGEST_S = 30.0
#: A server that asks for more patience than this is asked again after this.
LONGEST_RETRY_AFTER_S = 120.0
_PASSING = frozenset({408, 409, 425, 429})


def may_pass(status: int) -> bool:
    """Whether an HTTP status tells of a fault that may be gone at the next try."""
    return status in _PASSING or status >= 500


def delay_s(attempt: int) -> float:
    """Seconds before the next try; `attempt` counts from 0. Uniform up to a ceiling that doubles."""
    return random.uniform(0.0, min(LONGEST_S, FIRST_S * 2.0**attempt))


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or an HTTP date), None without a usable one."""
    if not header:
        return None
    try:
        wait = float(header)
    except ValueError:
        try:
            wait = (parsedate_to_datetime(header) - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER_S) if wait == wait else None
