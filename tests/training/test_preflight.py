"""A dry run: as the run would be, with the run's own settings, of few samples, and it leaves nothing behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from core.errors import BadFieldError, BadRecipeError, OutOfMemoryError
from tests.training.small_handoff import sections
from tests.training.test_prepare import Counted
from tests.training.two_processes import started
from training import preflight as module
from training.preflight import Preflight, preflight
from training.recipe import Recipe
from training.text_to_image import TextToImage


def measured(small: dict[str, Path], **changes: Any) -> tuple[Preflight, Counted]:
    meter = Counted()
    return preflight(Recipe.model_validate(sections(small, **changes)), meter, torch.device("cpu")), meter


@pytest.fixture(autouse=True)
def _leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    yield
    assert {entry for entry in tmp_path.iterdir() if entry.name.startswith("densify")} <= before


@pytest.mark.parametrize("method", ["pixart", "dit", "classifier"])
def test_it_counts_all_samples_and_computes_a_part_of_a_batch(small: dict[str, Path], method: str) -> None:
    found, meter = measured(small, method=method, run={"batch": 6, "accumulate": 2, "steps": 10})
    assert set(meter.done.values()) == {3}
    assert (found.samples, found.left_over, found.moved, found.processes) == (13, 1, 0, 1)
    assert found.seconds == pytest.approx(10 * 6 / found.images_per_second)
    assert found.truncated == (13 if method == "pixart" else 0)
    assert found.bytes_of_state == 5 * 4 * found.parameters
    both, one = measured(small)[0].bytes_of_encoders, measured(small, method="dit")[0].bytes_of_encoders
    assert both > one > 0


def test_its_steps_are_the_loops_with_the_recipes_settings(
    small: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {"losses": 0}
    plain = TextToImage.losses

    def losses(self: TextToImage, model: Any, batch: Any) -> torch.Tensor:
        seen["losses"] += 1
        seen["checkpointing"] = self.model.is_gradient_checkpointing
        seen["attention"] = {type(each).__name__ for each in self.model.attn_processors.values()}
        seen["autocast"] = torch.is_autocast_enabled("cpu")
        seen.setdefault("weights", []).append(next(self.model.parameters()).detach().clone())
        return plain(self, model, batch)

    monkeypatch.setattr(TextToImage, "losses", losses)
    measured(small, run={"checkpointing": True, "precision": "bf16"})
    assert seen["losses"] == 1 + module.PROBES
    assert seen["checkpointing"]
    assert seen["attention"] == {"AttnProcessor"}
    assert not torch.equal(seen["weights"][0], seen["weights"][-1]), "the optimiser's part is timed too"


def test_what_does_not_fit_into_memory_is_the_loops_own_error(
    small: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(TextToImage, "losses", full)
    with pytest.raises(OutOfMemoryError, match=r"A part of 4 images does not fit") as error:
        measured(small)
    assert "run.accumulate=2" in error.value.hint


def test_a_validation_split_that_cannot_be_measured_is_refused(
    small: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadRecipeError, match=r"data\.split is all"):
        measured(small, data={"split": "all"}, validation={"every": 2})
    monkeypatch.setattr(module, "labels_over", _unknown)
    with pytest.raises(BadFieldError):
        measured(small, method="dit", validation={"every": 2})


def _unknown(*given: Any) -> None:
    raise BadFieldError("unknown class")


def test_several_processes_measure_together(small: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(sections(small)))
    script = tmp_path / "both.py"
    script.write_text(
        "import json; from pathlib import Path; from tests.training.small_handoff import small_size\n"
        "from cli.main import main; import sys\n"
        f"sys.argv = ['densify', 'train', {str(file)!r}, '--out', {str(tmp_path / 'run')!r}, '--dry-run']\n"
        "with small_size(): main()\n"
    )
    said = started(script)
    assert said.count("speed of 2 processes on cpu, together") == 1, "one of them tells"
    assert not (tmp_path / "run").exists()
