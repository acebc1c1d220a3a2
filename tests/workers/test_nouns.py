"""The noun counter's child process: the same counts as here, started again when it dies, gone with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from core.errors import ServiceError
from tests.services import wait_until
from workers.nouns import NounCounter, measure_here

CAPTIONS = [("a", "A red boat near two trees."), ("b", ""), ("c", "The boat again.")]

PARENT = """
import time
from workers.nouns import NounCounter
if __name__ == "__main__":
    counter = NounCounter()
    counter.measure([("a", "A boat.")])
    print("ready", flush=True)
    time.sleep(600)
"""


def test_the_child_counts_what_this_process_counts_and_is_replaced_when_it_dies() -> None:
    counter = NounCounter()
    assert counter.measure(CAPTIONS) == measure_here(CAPTIONS)
    (child,) = [c for c in psutil.Process().children() if "spawn_main" in " ".join(c.cmdline())]
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ServiceError, match="died"):
        counter.measure(CAPTIONS)
    assert counter.measure(CAPTIONS) == measure_here(CAPTIONS)
    counter.close()


def test_the_child_ends_when_its_parent_is_killed(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
        assert children
        parent.kill()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in children))
