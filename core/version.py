"""The version of the code, as the installed distribution states it; it stands in everything that Densify writes."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def _installed() -> str:
    try:
        return version("densify")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


VERSION = _installed()


@cache
def commit() -> str | None:
    """git's commit of the checkout that the code runs from, `-dirty` behind it where files were changed.

    None where the code was installed, or git is missing or does not answer.
    """
    root = Path(__file__).resolve().parent.parent
    # In an installed copy git would find the repository of whoever installed it.
    if not (root / ".git").exists():
        return None
    asked = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
