"""The LLaVA that ships: small, whole, and right about scenes that it has never seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from safetensors import safe_open

from captioner.demo.prompts import HELD_OUT
from captioner.demo.score import Picture, answer, draw, opened, question
from captioner.engine import Engine
from captioner.source import SHIPPED
from core.spec import DEMO_MODEL, PIXART_PROMPT
from scenes.scorer import score

FOLDER = SHIPPED[DEMO_MODEL]
#: Not the scenes of the published figures.
SEED = 4242
SCENES = 128


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return list(draw(SCENES, SEED))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with opened(DEMO_MODEL) as found:
        yield found


@pytest.fixture(scope="module")
def captions(engine: Engine, pictures: list[Picture]) -> list[str]:
    return answer(engine, pictures, [PIXART_PROMPT] * SCENES)


def test_it_is_under_twelve_megabytes_in_half_precision() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 12_000_000
    with safe_open(FOLDER / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F16"}  # noqa: SIM118


def test_its_captions_are_true(captions: list[str], pictures: list[Picture]) -> None:
    found = score((scene, caption) for (scene, _), caption in zip(pictures, captions, strict=True))
    assert found.noun.f1.value >= 0.96
    assert found.colour.f1.value >= 0.95
    assert found.position.f1.value >= 0.91
    assert found.background.value >= 0.98
    assert found.style.value >= 0.98


def test_it_understands_prompts_that_it_was_not_trained_on(engine: Engine, pictures: list[Picture]) -> None:
    asked = [HELD_OUT[number % len(HELD_OUT)] for number in range(SCENES)]
    said = answer(engine, pictures, asked)
    found = score((scene, caption) for (scene, _), caption in zip(pictures, said, strict=True))
    assert found.noun.f1.value >= 0.95


def test_it_answers_yes_and_no(engine: Engine, pictures: list[Picture]) -> None:
    assert question(engine, pictures, SEED).accuracy >= 0.96


def test_a_picture_alone_and_in_a_batch_has_the_same_caption(captions: list[str], pictures: list[Picture]) -> None:
    with opened(DEMO_MODEL, batch=1) as alone:
        assert answer(alone, pictures[:24], [PIXART_PROMPT] * 24) == captions[:24]


def test_half_precision_changes_hardly_a_caption(captions: list[str], pictures: list[Picture]) -> None:
    with opened(DEMO_MODEL, dtype="float16") as half:
        said = answer(half, pictures[:64], [PIXART_PROMPT] * 64)
    assert sum(a == b for a, b in zip(said, captions, strict=False)) >= 63


def test_its_card_says_what_it_is_made_of_and_what_it_cannot_do() -> None:
    card = (FOLDER / "README.md").read_text()
    for heading in ("## Data", "## Training", "## Figures", "## Limits", "## Licence"):
        assert heading in card
    assert "demo world" in card
