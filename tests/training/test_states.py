"""States: what they bring back is what was there, of every kind of model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import ConflictError
from tests.training.small_handoff import sections
from tests.training.small_run import Silent, loop, recipe, weights
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


def test_groups_follow_from_the_recipe_however_an_older_version_split_them(tmp_path: Path) -> None:
    """Which weights decay may change with the version; what the optimiser remembers of each is brought back."""
    asked = recipe(optimiser={"name": "adamw"})
    first = loop(tmp_path, asked)
    first.run(until=3)
    file = tmp_path / "states" / "step-00000003.pt"
    state = torch.load(file, weights_only=True)
    decayed, plain = state["optimisers"]["param_groups"]
    tables = [name for name in plain["params"] if name.endswith("scale_shift_table")]
    assert tables
    decayed["params"] += tables
    plain["params"] = [name for name in plain["params"] if name not in tables]
    torch.save(state, file)
    again = loop(tmp_path, asked)
    assert again.states.load() == 3
    groups = [[len(each["params"]) for each in run.optimisers[0].param_groups] for run in (first, again)]
    assert groups[0] == groups[1]
    (mine, theirs) = (run.optimisers[0].state_dict()["state"] for run in (first, again))
    assert all(torch.equal(mine[at]["exp_avg"], theirs[at]["exp_avg"]) for at in mine)
    again.run()


def test_a_state_of_another_optimiser_is_refused_with_a_sentence(tmp_path: Path) -> None:
    loop(tmp_path, recipe(optimiser={"name": "adamw"})).run(until=3)
    with pytest.raises(ConflictError, match="is an older version's"):
        loop(tmp_path, recipe(optimiser={"name": "muon"})).run()
