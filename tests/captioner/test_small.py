"""The small LLaVA is quick, the same for a seed, says words, and sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from captioner.small import NOUNS, OTHERS, build_small_llava
from captioner.transformers_engine import TransformersEngine
from core.hub import folder_hash
from core.spec import Generation
from tests.captioner.helpers import pictures, requests


def test_the_same_seed_writes_the_same_files(small_folder: Path, tmp_path: Path) -> None:
    assert folder_hash(build_small_llava(tmp_path / "twin")) == folder_hash(small_folder)
    assert folder_hash(build_small_llava(tmp_path / "other", seed=1)) != folder_hash(small_folder)


def test_it_says_words_only(engine: TransformersEngine) -> None:
    for completion in engine.caption(requests(pictures(8)), Generation(max_new_tokens=24)):
        assert completion.text
        assert set(completion.text.split()) <= {*NOUNS, *OTHERS}


def test_other_pictures_get_other_words(engines: dict[str, TransformersEngine]) -> None:
    for engine in engines.values():
        texts = {
            completion.text for completion in engine.caption(requests(pictures(16)), Generation(max_new_tokens=24))
        }
        assert len(texts) >= 15


def test_the_command_writes_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "captioner.small", str(tmp_path / "out"), "--kind", "llava_next"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()
