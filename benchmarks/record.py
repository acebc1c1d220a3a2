"""What every benchmark shares: the machine in a line, a service to measure, and the entry in RESULTS.md."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """Processor, cores and memory in one line."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def record(title: str, command: str, rows: list[tuple[str, str]], note: str) -> None:
    """Prints the figures and writes them under `title` in RESULTS.md, in place of an older entry of that title."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    table = "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
    entry = f"## {title}\n\n{today}. {machine()}. `{command}`\n\n{table}\n\n{note}\n"
    print(f"\n{entry}")
    old = RESULTS.read_text() if RESULTS.exists() else "# Results\n\nEach entry was printed by one run of its script.\n"
    head, *entries = old.split("\n## ")
    kept = [f"## {text.strip()}\n" for text in entries if not text.startswith(f"{title}\n")]
    RESULTS.write_text("\n".join([head.rstrip() + "\n", *sorted([*kept, entry])]))


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
