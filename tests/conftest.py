"""Fixtures for every room: real data when it is there, real servers, and a machine that is left as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures, captions and treebanks: DENSIFY_REAL_DATA, or ../shared/data beside the clone."""
    folder = Path(os.environ.get("DENSIFY_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data is absent: {folder} is no folder; name it with DENSIFY_REAL_DATA")
    return folder
