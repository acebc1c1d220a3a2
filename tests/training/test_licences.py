"""Licences of the weights that a run begins with: announced and recorded, however many runs lie in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from tests.training.small_encoders import TEXT
from tests.training.small_handoff import sections
from tests.training.small_run import Silent
from tests.training.test_prepare import Counted
from training.checkpoints import dit_from_diffusers
from training.lineage import FILE, claim
from training.loop import Loop
from training.models import Size, dit, separate_embedders
from training.originals import DIT_LICENCE
from training.pipelines import save_pipeline
from training.prepare import Prepared, prepare
from training.recipe import Recipe

OTHERS = Size(2, 2, 8, text=TEXT, side=8)


def trained(small: dict[str, Path], folder: Path, **changes: Any) -> Prepared:
    """A run of one step."""
    run = {"steps": 1, "batch": 4, "ema": 0.0}
    made = prepare(Recipe.model_validate(sections(small, **changes) | {"run": run}), folder, Counted())
    claim(folder, made.lineage)
    loop = Loop(made.recipe, made.task, made.epochs, folder, Silent())
    loop.run()
    with loop.averaged() as model:
        save_pipeline(folder, made, model)
    return made


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_every_run_that_goes_back_to_dits_weights_says_so(small: dict[str, Path], tmp_path: Path, kind: str) -> None:
    theirs = separate_embedders(dit(OTHERS, 2))
    if kind == "file":
        weights = tmp_path / "dit.pt"
        torch.save(dit_from_diffusers(theirs.state_dict()), weights)
    else:
        weights = tmp_path / "dit"
        theirs.save_pretrained(weights / "transformer")
    begun, method = weights, "dit"
    for hop in ("one", "two", "three"):
        with capture_logs() as said:
            made = trained(small, tmp_path / hop, method=method, model=_start(small, begun))
        assert any(DIT_LICENCE in each["event"] for each in said), hop
        assert made.lineage.licences == (DIT_LICENCE,)
        # The next begins with what people pass on: the pipeline alone, without the run around it.
        begun, method = tmp_path / hop / "pipeline", "pixart"


def test_a_run_that_begins_anew_is_bound_by_nothing(small: dict[str, Path], tmp_path: Path) -> None:
    with capture_logs() as said:
        trained(small, tmp_path / "one", method="dit")
        made = trained(small, tmp_path / "two", model=_start(small, tmp_path / "one"))
    assert made.lineage.licences == ()
    assert said == []


def test_the_pipeline_carries_the_runs_lineage_and_loads_in_plain_diffusers(
    small: dict[str, Path], tmp_path: Path
) -> None:
    from diffusers import PixArtAlphaPipeline

    made = trained(small, tmp_path)
    carried = tmp_path / "pipeline" / FILE
    assert carried.read_bytes() == (tmp_path / FILE).read_bytes()
    assert json.loads(carried.read_text())["handoff"] == made.lineage.handoff
    assert PixArtAlphaPipeline.from_pretrained(tmp_path / "pipeline").transformer is not None


def _start(small: dict[str, Path], start: Path) -> dict[str, Any]:
    return {"start": str(start), "vae": str(small["vae"]), "text_encoder": str(small["texts"]), "size": None}
