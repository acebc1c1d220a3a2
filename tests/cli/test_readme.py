"""The README's commands, run for real: the embedded way from drawn pictures to a proven hand-off."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Densify

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


@pytest.mark.slow
def test_the_first_screen_is_what_the_demo_makes(densify: Densify, tmp_path: Path) -> None:
    """The strip and its captions to the letter; figures to a hundredth, since processors round in ways of their own."""
    result = densify("demo", "--folder", tmp_path / "demo")
    assert result.exit_code == 0, result.stderr
    shown = README.read_text().split("<!-- demo -->\n")[1].split("\n<!-- /demo -->")[0].splitlines()
    made = (tmp_path / "demo" / "summary.md").read_text().splitlines()
    assert len(shown) == len(made)
    for ours, theirs in zip(shown, made, strict=True):
        figures = [float(word) for word in re.findall(r"[\d.]*\d", ours.replace(",", ""))]
        if ours.startswith(("| old text | 480", "| LLaVA captions |")):
            found = [float(word) for word in re.findall(r"[\d.]*\d", theirs.replace(",", ""))]
            assert figures == pytest.approx(found, rel=0.01)
        else:
            assert ours == theirs.replace("pictures.jpg", "docs/demo/pictures.jpg")
    with (
        Image.open(README.parent / "docs/demo/pictures.jpg") as ours,
        Image.open(tmp_path / "demo/pictures.jpg") as theirs,
    ):
        assert ours.size == theirs.size
        assert np.abs(np.asarray(ours, float) - np.asarray(theirs, float)).mean() < 2


def test_the_fleets_order_is_the_one_that_works() -> None:
    text = README.read_text()
    places = [text.index(each) for each in ("redis-server --bind", "densify serve &", "densify worker &")]
    assert places == sorted(places)
    assert "--appendonly yes --maxmemory-policy noeviction" in text
