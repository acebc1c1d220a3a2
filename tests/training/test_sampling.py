"""Drawing: every scheduler draws, and a model that is still learning draws beside encoders of half its precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import BadFieldError
from tests.training.small_handoff import sections, world
from training.pipelines import pipeline
from training.prepare import Prepared, prepare
from training.recipe import Recipe
from training.sampling import SCHEDULERS, Drawing, draw


class Silent:
    def begin(self, what: str, total: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


def made(folder: Path, **changes: Any) -> Prepared:
    given = Recipe.model_validate(sections(world(folder / "world"), run={"steps": 1}, **changes))
    found = prepare(given, folder / "run", Silent())
    with torch.no_grad():
        for each in found.task.model.parameters():
            each.add_(0.05 * torch.randn(each.shape, generator=torch.Generator().manual_seed(each.numel())))
    return found


def drawing(scheduler: str) -> Drawing:
    return Drawing("a red dog", 3, 4, 2.0, scheduler, 32, 32)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["epsilon", "v", "flow"])
def test_schedulers_draw_or_say_why_not(folder: Path, kind: str) -> None:
    ready = made(folder / kind, objective={"kind": kind, "times": "uniform"})
    drawer = pipeline(ready, ready.task.model.eval())
    for scheduler in SCHEDULERS:
        if kind == "flow" and scheduler not in ("dpm++", "euler"):
            with pytest.raises(BadFieldError, match="noise schedules alone"):
                list(draw(drawer, [drawing(scheduler)]))
            continue
        ((_, image),) = draw(drawer, [drawing(scheduler)])
        assert image.size == (32, 32)
        assert np.asarray(image).std() > 0


def test_a_model_that_learns_draws_beside_encoders_of_half_precision(folder: Path) -> None:
    ready = made(folder / "half")
    drawer = pipeline(ready, ready.task.model.eval())
    ((_, full),) = draw(drawer, [drawing("dpm++")])
    drawer.vae.half()
    drawer.text_encoder.half()
    ((_, half),) = draw(drawer, [drawing("dpm++")])
    assert drawer.transformer.dtype == torch.float32, "its weights stay what they were"
    difference = np.abs(np.asarray(full, float) - np.asarray(half, float)).mean()
    assert difference < 4, "of 255"
