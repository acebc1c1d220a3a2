"""Fixtures of the training stack's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.small_handoff import small_size, world


@pytest.fixture(scope="module", autouse=True)
def _small_size() -> Iterator[None]:
    with small_size():
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A hand-off of eighteen samples, and encoders that fit it."""
    return world(tmp_path_factory.mktemp("world"))
