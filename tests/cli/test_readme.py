"""The README's commands, run for real: the embedded way from drawn pictures to a proven hand-off."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def marked_blocks(name: str) -> list[str]:
    """The shell blocks below `<!-- run: name -->`."""
    pattern = rf"^<!-- run: {name} -->\n```sh\n(.*?)^```"
    return re.findall(pattern, README.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_embedded_way_works_as_written(tmp_path: Path) -> None:
    (block,) = marked_blocks("embedded")
    with socket.create_server(("127.0.0.1", 0)) as ear:
        port = str(ear.getsockname()[1])
    # The one change: a port that is free here.
    script = block.replace("8765", port)
    assert script.count(port) == 2
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DENSIFY_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DENSIFY_CPU_THREADS"] = "1"
    answer = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "proven: 12 samples in = 12 captioned + 0 rejected" in answer.stdout
    assert "accepted" in answer.stdout
    assert "Concept density" in answer.stdout


def test_the_fleets_order_is_the_one_that_works() -> None:
    text = README.read_text()
    places = [text.index(each) for each in ("redis-server --bind", "densify serve &", "densify worker &")]
    assert places == sorted(places)
    assert "--appendonly yes --maxmemory-policy noeviction" in text
