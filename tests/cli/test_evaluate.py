"""`densify evaluate`: what a model draws is captioned again and compared with what it was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cli import evaluate
from scenes.captions import dense
from tests.cli.conftest import Densify
from training import alignment, drawable, sampling


@pytest.fixture(autouse=True)
def _a_model_that_draws_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "load_pipeline", lambda name: name)
    monkeypatch.setattr(drawable, "side_of", lambda pipeline: 64)
    monkeypatch.setattr(alignment, "side_of", lambda pipeline: 64)
    monkeypatch.setattr(alignment, "tokens_of", lambda pipeline: 120)
    monkeypatch.setattr(
        alignment, "draw", lambda pipeline, drawings: ((each, Image.new("RGB", (64, 64), "grey")) for each in drawings)
    )


def test_grey_pictures_score_low_and_true_ones_high_by_the_llava_that_ships(densify: Densify, tmp_path: Path) -> None:
    sheet = tmp_path / "new" / "sheet.png"
    result = densify("evaluate", "some-run", "--prompts", "12", "--json", "--pictures", sheet)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert set(found) == set(alignment.WORLDS)
    for both in found.values():
        assert both["drawn"]["noun"]["f1"]["value"] < 0.3
        assert both["true pictures"]["noun"]["f1"]["value"] > 0.8
        assert both["drawn"]["scenes"] == 12
    with Image.open(sheet) as image:
        assert image.height == 4 + 4 * 68, "true and drawn pictures of both worlds"
        assert image.width > 8 * 68


def test_tables_have_every_fact_with_its_interval(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    class Says:
        def __call__(self, images):
            return [dense(scene) for scene in alignment.unseen_scenes(len(images), "the whole world")]

    monkeypatch.setattr(evaluate, "Captioner", Says)
    result = densify("evaluate", "some-run", "--prompts", "5")
    assert result.exit_code == 0, result.stderr
    for words in ("one or two large objects: 5 unseen prompts", "the whole world: 5 unseen prompts", "drawn", "true"):
        assert words in result.stdout
    assert all(name in result.stdout for name in evaluate.SHOWN)
    assert "1.000 [1.000, 1.000]" in result.stdout
