"""What benchmarks share: the machine in a line, processes and services to measure, and the entry in RESULTS.md."""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

T = TypeVar("T")

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """Processor, cores and memory in one line."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def record(title: str, command: str, rows: list[tuple[str, str]], note: str, *, trial: bool = False) -> None:
    """Prints the figures and writes them under `title` in RESULTS.md, in place of an older entry of that title.

    `trial`: prints them only.
    """
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    table = "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
    entry = f"## {title}\n\n{today}. {machine()}. `{command}`\n\n{table}\n\n{note}\n"
    print(f"\n{entry}")
    if trial:
        return
    old = RESULTS.read_text() if RESULTS.exists() else "# Results\n\nEach entry was printed by one run of its script.\n"
    head, *entries = old.split("\n## ")
    kept = [f"## {text.strip()}\n" for text in entries if not text.startswith(f"{title}\n")]
    RESULTS.write_text("\n".join([head.rstrip() + "\n", *sorted([*kept, entry])]))


def alone(work: Callable[[], T]) -> tuple[T, float, float]:
    """Runs `work` (picklable) in a process of its own: its answer, seconds, and the process's peak memory in MiB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_watched, work).result()


def _watched(work: Callable[[], T]) -> tuple[T, float, float]:
    begin = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - begin
    with contextlib.suppress(OSError, StopIteration):
        # Not getrusage: the peak it tells of a new process is never below that of the process which started it.
        lines = Path("/proc/self/status").read_text().splitlines()
        return answer, seconds, int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
    return answer, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Binds this process, and what it starts meanwhile, to `count` of its cores, where the system can do that.

    Libraries for matrix products that are loaded in the block use one thread: each process, one core.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    own, threads = os.sched_getaffinity(0), os.environ.get("OMP_NUM_THREADS")
    os.sched_setaffinity(0, set(sorted(own)[:count]))
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
        del os.environ["OMP_NUM_THREADS"]
        if threads is not None:
            os.environ["OMP_NUM_THREADS"] = threads


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `densify` process, ended when the block ends."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments], env={**os.environ, **environment}, stdout=file, stderr=file
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def wait_until_ready(url: str, seconds: float = 120) -> None:
    """Waits for the service's health answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise TimeoutError(f"no answer from {url} after {seconds} s")
