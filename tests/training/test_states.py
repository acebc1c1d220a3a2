"""States: what they bring back is what was there, of every kind of model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.small_handoff import sections
from tests.training.small_run import Silent, weights
from tests.training.test_prepare import Counted
from training.loop import Loop
from training.prepare import prepare
from training.recipe import Recipe


@pytest.mark.parametrize("method", ["dit", "classifier"])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(small: dict[str, Path], tmp_path: Path, method: str) -> None:
    """A DiT's blocks share their embedders, whose state must come back once; a classifier is another library's."""
    ends = []
    for name, stops in (("whole", (4,)), ("stopped", (2, 4))):
        for stop in stops:
            asked = Recipe.model_validate(sections(small, method=method, optimiser={"name": "muon"}))
            made = prepare(asked, tmp_path / name, Counted())
            run = Loop(made.recipe, made.task, made.epochs, tmp_path / name, Silent())
            assert run.run(until=stop) == stop
        ends.append(weights(run))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][each], ends[1][each]) for each in ends[0])
