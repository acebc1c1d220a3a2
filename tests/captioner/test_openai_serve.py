"""The openai engine against a real server: `transformers serve` on loopback, with the small LLaVA."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from captioner.captions import Captioned, caption_samples
from captioner.engine import load_engine
from captioner.transformers_engine import TransformersEngine
from core.spec import PIXART_PROMPT, Generation
from tests.captioner.helpers import GREEDY, pictures, requests, settings, spec_of

STARTUP_S = 240.0  # some seconds, mostly imports; minutes on a machine that is busy otherwise


@pytest.fixture(scope="module")
def served(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint's URL, with its /v1."""
    pytest.importorskip("openai", reason="`transformers serve` needs the package openai, which is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(small_folder)]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(url, trust_env=False, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"`transformers serve` did not start: {log.read_text()}")


@pytest.mark.slow
def test_a_real_endpoint_gives_the_captions_of_the_same_weights(
    served: str, small_folder: Path, engine: TransformersEngine
) -> None:
    spec = spec_of(small_folder, engine="openai")
    remote = load_engine(spec, settings(endpoint=served, endpoint_concurrency=2))
    try:
        images = pictures(5)
        ours = list(engine.caption(requests(images, PIXART_PROMPT), GREEDY))
        theirs = list(remote.caption(requests(images, PIXART_PROMPT), GREEDY))
        assert [one.text for one in theirs] == [one.text for one in ours]
        assert [one.finish_reason for one in theirs] == [one.finish_reason for one in ours]
        assert all(one.tokens > 0 for one in theirs)
        samples = [(str(n), image, None, {}) for n, image in enumerate(images)]
        sampled = spec.model_copy(update={"generation": Generation(max_new_tokens=8, do_sample=True)})
        for one in caption_samples(remote, sampled, samples):
            assert isinstance(one, Captioned)
            assert one.text
    finally:
        remote.close()
