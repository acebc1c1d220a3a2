"""`densify worker` with several GPUs: one process each, replaced when it dies, gone when the parent is.

The GPUs are named by CUDA_VISIBLE_DEVICES only; where there are none the engine runs on the CPU, and the processes are
the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.fleet import Fleet
from tests.services import RedisServer, wait_until


def workers_of(parent: int) -> list[int]:
    """Ids of the worker processes; a dead one that the parent has not yet noticed is none."""
    found = []
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "workers.process" in child.cmdline():
                found.append(child.pid)
    return found


@pytest.mark.slow
def test_a_dead_worker_is_replaced_and_all_end_with_the_parent(
    redis_server: RedisServer, model: Path, shards: list[Path], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    redis_server.flush()
    with Fleet(tmp_path, model, broker=redis_server.url, CUDA_VISIBLE_DEVICES="0,1") as fleet:
        fleet.serve()
        parent = fleet.start("worker")
        wait_until(lambda: len(workers_of(parent.pid)) == 2)
        first, second = workers_of(parent.pid)
        environments = [psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] for pid in (first, second)]
        assert sorted(environments) == ["0", "1"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(set(workers_of(parent.pid)) - {first}) == 2)
        assert fleet.run("upload", "pictures", *map(str, shards)).returncode == 0
        fleet.wait_accepted("pictures", len(shards))
        assert fleet.captioned() == undisturbed
        left = workers_of(parent.pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not any(psutil.pid_exists(pid) for pid in left))


@pytest.mark.slow
def test_workers_that_refuse_to_start_end_the_parent_with_their_exit_code(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with Fleet(tmp_path, tmp_path / "none", broker=redis_server.url, CUDA_VISIBLE_DEVICES="0") as fleet:
        assert fleet.run("worker").returncode == 2
