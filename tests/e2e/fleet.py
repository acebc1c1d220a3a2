"""A fleet as a user starts it: `densify serve` and `densify worker` as processes of their own, on real servers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.services import free_port

#: Chunks small enough that a test can strike between two, leases short enough that it need not wait.
SETTINGS = {
    "DENSIFY_CHUNK_SAMPLES": "8",
    "DENSIFY_LEASE_S": "2",
    "DENSIFY_SWEEP_S": "0.5",
    "DENSIFY_CPU_THREADS": "1",
    "DENSIFY_MAX_NEW_TOKENS": "24",
    "OMP_NUM_THREADS": "1",
}


class Fleet:
    """Processes around one data folder. Whatever still runs when the block ends is ended, by its id."""

    def __init__(self, folder: Path, model: Path, ledger: str = "", broker: str = "", **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=f"{self.url}/v1", timeout=60)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            **SETTINGS,
            "DENSIFY_DATA": str(self.data),
            "DENSIFY_MODEL": str(model),
            "DENSIFY_LEDGER": ledger,
            "DENSIFY_BROKER": broker,
            "DENSIFY_URL": self.url,
            **settings,
        }
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `densify ARGUMENTS…` in the background."""
        name = f"{len(self.processes)}-{arguments[0]}.log"
        with (self.folder / name).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments], env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def serve(self, *options: str) -> subprocess.Popen[bytes]:
        """Starts the API and waits until it answers."""
        process = self.start("serve", "--port", str(self.port), *options)

        def answers() -> bool:
            assert process.poll() is None, self.logs()
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
            return False

        self.wait(answers, 120)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `densify ARGUMENTS…` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )

    def progress(self, dataset: str) -> dict[str, Any]:
        answer = self.client.get(f"/datasets/{dataset}/progress")
        answer.raise_for_status()
        return dict(answer.json())

    def wait(self, done: Callable[[], bool], seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"waited {seconds} s in vain\n{self.logs()}"
            time.sleep(0.05)

    def wait_accepted(self, dataset: str, shards: int) -> None:
        self.wait(lambda: self.progress(dataset)["shards"] == {"accepted": shards})

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def captioned(self) -> dict[str, str]:
        """SHA-256 of every file of every captioned shard."""
        files = sorted((self.data / "captioned").rglob("*"))
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
