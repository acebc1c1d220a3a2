"""The training script, whole and very short: what it writes is a model that the engine loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from captioner.demo import pictures
from captioner.demo.score import opened
from captioner.engine import CaptionRequest
from core.spec import Generation
from tests.captioner.demo.conftest import draw_here

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_script_writes_a_model_that_the_engine_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        # One file of fewer pictures than usual: the script finds it and draws nothing.
        patch.setattr(pictures, "PART", 64)
        draw_here(tmp_path / "work", 64, seed=5)
    command = [sys.executable, "-m", "captioner.demo.train", "--work", tmp_path / "work", "--out", tmp_path / "out"]
    numbers = ["--pictures", "64", "--seed", "5", "--see", "2", "--write", "2", "--join", "2"]
    answer = subprocess.run(
        [*map(str, command), *numbers], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=500
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "join-5: step 2 of 2" in answer.stdout
    weights = tmp_path / "out" / "model.safetensors"
    assert weights.stat().st_size < 12_000_000
    with opened(str(tmp_path / "out"), batch=2) as engine:
        request = CaptionRequest("a", Image.new("RGB", (200, 100), "navy"), "Caption:")
        (completion,) = engine.caption([request], Generation(max_new_tokens=4))
    assert completion.error is None
