"""A terminal that is not one, settings of each test's own, and the embedded service in a process of its own."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from core.settings import get_settings

Densify = Callable[..., Result]


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("DENSIFY_") and name != "DENSIFY_REAL_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("DENSIFY_DATA", str(tmp_path / "data"))
    get_settings.cache_clear()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    # Commands set logging up for their whole process; here the next test is to find it as it was.
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    get_settings.cache_clear()


@pytest.fixture
def densify() -> Densify:
    """`densify("status", "shop")`: runs a command in this process; `.exit_code`, `.stdout`, `.stderr`."""
    from cli.main import app

    def run(*arguments: object) -> Result:
        get_settings.cache_clear()
        return CliRunner().invoke(app, [str(argument) for argument in arguments])  # type: ignore[return-value]

    return run


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA of the real classes with random weights."""
    from captioner.small import build_small_llava

    return build_small_llava(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def shard_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three shards of the demo's pictures, six samples each; the last one has a sample that is no image."""
    from scenes.dataset import samples as draw
    from shards.writer import write_shard

    folder = tmp_path_factory.mktemp("shards")
    pictures = list(draw(18, seed=1))
    files = []
    for number in range(3):
        samples = pictures[6 * number : 6 * number + 6]
        if number == 2:
            samples[3][1]["jpg"] = b"<html>not found</html>"
        file = folder / f"shop-{number:03d}.tar"
        write_shard(file, samples)
        files.append(file)
    return files


def read_webdataset(files: list[Path]) -> list[dict[str, Any]]:
    """Samples as the webdataset library reads them. It leaves its files to the collector, and Python warns."""
    import webdataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        samples = list(webdataset.WebDataset([str(file) for file in files], shardshuffle=False))
        gc.collect()
    return samples


@dataclass
class Server:
    """`densify serve` as a process."""

    process: subprocess.Popen[str]
    url: str
    environment: dict[str, str]
    data: Path
    said: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


def start_server(data: Path, *arguments: str, wait_for: str = "/readyz", **environment: str) -> Server:
    """Starts `densify serve` on a free port and waits until `wait_for` answers 200."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DENSIFY_")}
    ours = {**clean, "DENSIFY_DATA": str(data), "DENSIFY_CPU_THREADS": "1", "DENSIFY_SWEEP_S": "0.5", **environment}
    log = (data.parent / f"{data.name}.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", "0", *arguments],
        env=ours,
        stderr=log,
        stdout=log,
        text=True,
    )
    log.close()
    url = ""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None and not url:
        text = Path(log.name).read_text()
        if "Densify serves at " in text:
            url = text.split("Densify serves at ")[1].split()[0]
        time.sleep(0.1)
    server = Server(process, url, {**ours, "DENSIFY_URL": url}, data)
    if not url:
        server.stop(signal.SIGKILL)
        raise AssertionError(f"the service did not start:\n{Path(log.name).read_text()}")
    while httpx.get(url + wait_for).status_code != 200:
        assert time.monotonic() < deadline, Path(log.name).read_text()
        time.sleep(0.1)
    return server


@pytest.fixture(scope="session")
def server(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded service with a small model, for the whole session."""
    data = tmp_path_factory.mktemp("service") / "data"
    started = start_server(
        data,
        "--embedded",
        DENSIFY_MODEL=str(small_model),
        DENSIFY_MAX_NEW_TOKENS="12",
        DENSIFY_CHUNK_SAMPLES="4",
        DENSIFY_DEVICE="cpu",
    )
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def use_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Points the commands of this test at the session's service."""
    monkeypatch.setenv("DENSIFY_URL", server.url)
    return server
