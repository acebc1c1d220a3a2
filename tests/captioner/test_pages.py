"""Whoever captions has large tensors in huge pages, unless told otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = "import captioner.engine, os, sys; print(os.environ['THP_MEM_ALLOC_ENABLE'], 'torch' in sys.modules)"


@pytest.mark.parametrize(("told", "expected"), [(None, "1"), ("0", "0")])
def test_huge_pages_are_asked_for_before_torch_is_loaded(told: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    if told is not None:
        environment["THP_MEM_ALLOC_ENABLE"] = told
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [expected, "False"]
