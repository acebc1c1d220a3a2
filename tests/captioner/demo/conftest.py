"""A handful of drawn pictures and the tokenizer, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from captioner.demo import pictures, tokenizer, train

COUNT = 24


@pytest.fixture(scope="session")
def words() -> Any:
    """The tokenizer that training makes from seed 1."""
    return tokenizer.train(train.texts(1))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pictures.Pictures]:
    """24 pictures of the training set."""
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "PART", 12)
        draw_here(folder, COUNT, seed=1)
        yield pictures.load(folder, COUNT, seed=1)


def draw_here(folder: Path, count: int, seed: int) -> None:
    """What `prepare` does, without processes of its own: a patched PART would not reach them."""
    folder.mkdir(exist_ok=True)
    for part in range(-(-count // pictures.PART)):
        pictures.draw_part(folder, seed, part)
