"""A small LLaVA of each family, made once for all tests of the room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from captioner.engine import load_engine
from captioner.small import KINDS, Kind, build_small_llava
from captioner.transformers_engine import TransformersEngine
from tests.captioner.helpers import settings, spec_of

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    root = tmp_path_factory.mktemp("small-llava")
    return {kind: build_small_llava(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="session")
def small_folder(small_folders: dict[Kind, Path]) -> Path:
    return small_folders["llava"]


@pytest.fixture(scope="session")
def engines(small_folders: dict[Kind, Path]) -> Iterator[dict[Kind, TransformersEngine]]:
    opened = {kind: load_engine(spec_of(folder), settings(batch_size=4)) for kind, folder in small_folders.items()}
    yield opened  # type: ignore[misc]
    for engine in opened.values():
        engine.close()


@pytest.fixture
def engine(engines: dict[Kind, TransformersEngine]) -> TransformersEngine:
    return engines["llava"]


@pytest.fixture
def open_engine() -> Iterator[Callable[..., TransformersEngine]]:
    """Opens engines of one test's own, and closes them."""
    opened: list[TransformersEngine] = []

    def open_one(folder: Path, **more: object) -> TransformersEngine:
        engine = TransformersEngine.load(spec_of(folder), settings(**more))
        opened.append(engine)
        return engine

    yield open_one
    for engine in opened:
        engine.close()
