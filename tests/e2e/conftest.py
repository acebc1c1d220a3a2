"""What the end-to-end tests share: a small LLaVA, shards of pictures, and what an undisturbed run makes of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.small import build_small_llava
from shards.writer import write_shard
from tests.e2e.fleet import Fleet


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_llava(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two shards of 40 pictures each; in each, one picture is broken and one is cut short."""
    folder = tmp_path_factory.mktemp("shards")
    random = np.random.default_rng(7)
    paths = []
    for name in ("train-000", "train-001"):
        samples = []
        for number in range(40):
            coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
            file = io.BytesIO()
            Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
            data = {5: b"<html>", 17: file.getvalue()[:900]}.get(number, file.getvalue())
            samples.append((f"{name}/{number:04d}", {"jpg": data, "txt": b"DSC_%04d.jpg" % number}))
        write_shard(folder / f"{name}.tar", samples)
        paths.append(folder / f"{name}.tar")
    return paths


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path, shards: list[Path]) -> dict[str, str]:
    """SHA-256 of what the embedded service makes of the shards when nothing goes wrong."""
    with Fleet(tmp_path_factory.mktemp("undisturbed"), model) as fleet:
        fleet.serve("--embedded")
        done = fleet.run("upload", "pictures", *map(str, shards))
        assert done.returncode == 0, done.stderr
        fleet.wait_accepted("pictures", len(shards))
        return fleet.captioned()
