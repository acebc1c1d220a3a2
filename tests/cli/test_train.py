"""`densify train`: a run leaves what a person needs to judge it, and every mistake is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.cli.conftest import Densify
from tests.training.small_handoff import sections, small_size, world

WATCHED: dict[str, Any] = {
    "validation": {"every": 2, "samples": 3, "times": 2},
    "previews": {"every": 2, "count": 2, "steps": 2, "guidance": 2.0},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _small_size() -> Iterator[None]:
    with small_size():
        yield


@pytest.fixture
def recipe(small: dict[str, Path], tmp_path: Path) -> Path:
    """A recipe of four steps, validated and previewed every second one."""
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(sections(small, **WATCHED)))
    return file


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def board(run: Path) -> Any:
    """What TensorBoard reads of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return found


def test_a_run_leaves_a_pipeline_a_log_previews_a_board_and_a_picture_of_its_losses(
    densify: Densify, recipe: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = densify("train", recipe, "--out", run)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(run / "pipeline")
    assert f"densify sample {run}" in result.stderr
    assert (run / "pipeline" / "model_index.json").is_file()
    assert {"recipe.yaml", "lineage.json", "states", "features"} <= {entry.name for entry in run.iterdir()}

    told = lines(run)
    assert [line["step"] for line in told if "loss" in line] == [1, 2, 3, 4]
    measured = [line for line in told if "validation_loss" in line]
    assert [line["step"] for line in measured] == [2, 4]
    assert measured[0]["validation_loss"] != measured[1]["validation_loss"]
    assert [file.name for file in sorted((run / "previews").glob("*.png"))] == [
        "step-00000002.png",
        "step-00000004.png",
    ]
    shown = board(run)
    assert [event.step for event in shown.Scalars("loss/train")] == [1, 2, 3, 4]
    assert {"gradient", "rate", "images per second"} <= set(shown.Tags()["scalars"])
    assert [event.value for event in shown.Scalars("loss/validation")] == pytest.approx(
        [line["validation_loss"] for line in measured]
    )
    assert [event.step for event in shown.Images("previews")] == [2, 4]
    with Image.open(run / "loss.png") as image:
        assert image.size == (900, 504)


def test_json_is_what_came_out_and_a_run_that_is_done_is_not_run_again(
    densify: Densify, recipe: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    told = json.loads(densify("train", recipe, "previews.every=0", "--out", run, "--json").stdout)
    assert told.pop("seconds") > 0
    log = lines(run)
    assert told == {
        "folder": str(run / "pipeline"),
        "steps": 4,
        "loss": [line["loss"] for line in log if "loss" in line][-1],
        "validation_loss": [line["validation_loss"] for line in log if "validation_loss" in line][-1],
    }
    assert not (run / "previews").exists()
    again = json.loads(densify("train", recipe, "previews.every=0", "--out", run, "--json").stdout)
    again.pop("seconds")
    assert again == told
    assert lines(run) == log


def test_a_run_goes_on_from_its_last_state_and_says_the_same_again(
    densify: Densify, recipe: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert densify("train", recipe, "previews.every=0", "--out", run).exit_code == 0
    first = lines(run)
    (run / "states" / "step-00000004.pt").unlink()
    assert densify("train", recipe, "previews.every=0", "--out", run).exit_code == 0
    again = lines(run)[len(first) :]
    losses = [(line["step"], line.get("loss"), line.get("validation_loss")) for line in again]
    assert losses == [(line["step"], line.get("loss"), line.get("validation_loss")) for line in first][3:]
    assert [event.step for event in board(run).Scalars("loss/train")] == [1, 2, 3, 4], "none twice"


def test_a_folder_belongs_to_one_recipe(densify: Densify, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    plain = ("validation.every=0", "previews.every=0", "--out", run)
    assert densify("train", recipe, "run.steps=2", *plain).exit_code == 0
    refused = densify("train", recipe, "optimiser.rate=0.5", "run.steps=2", *plain)
    assert refused.exit_code == 2
    assert "holds another run: optimiser.rate differ." in refused.stderr
    assert "--out" in refused.stderr
    assert [line["step"] for line in lines(run)] == [1, 2]


def test_no_memory_in_the_first_step_leaves_the_folder_to_what_the_hint_says(
    densify: Densify, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from training.text_to_image import TextToImage

    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    run = tmp_path / "run"
    plain = ("validation.every=0", "previews.every=0", "run.steps=2", "--out", run)
    with monkeypatch.context() as patch:
        patch.setattr(TextToImage, "losses", full)
        failed = densify("train", recipe, *plain)
    assert failed.exit_code == 1
    assert "Call it again with run.accumulate=2 or run.checkpointing=true" in failed.stderr.replace("\n", " ")
    (run / "log.jsonl").write_text('{"step": 90, "loss": 7.0}\n')
    # Nothing was saved: another rate, batch or precision may have the folder as well.
    done = densify("train", recipe, "run.accumulate=2", "optimiser.rate=0.5", *plain)
    assert done.exit_code == 0, done.stderr
    assert [line["step"] for line in lines(run)] == [1, 2], "what the first try told counts no more"


def test_a_loss_without_a_number_leaves_what_the_run_of_its_hint_begins_with(
    densify: Densify, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.text_to_image import TextToImage

    losses, calls = TextToImage.losses, []

    def broken(self: Any, model: Any, batch: Any) -> Any:
        calls.append(batch)
        return losses(self, model, batch) * (float("nan") if len(calls) == 4 else 1)

    run = tmp_path / "run"
    plain = ("validation.every=0", "previews.every=0", "--out")
    with monkeypatch.context() as patch:
        patch.setattr(TextToImage, "losses", broken)
        stopped = densify("train", recipe, *plain, run)
    assert stopped.exit_code == 1
    said = stopped.stderr.replace("\n", " ")
    assert "step 4" in said
    assert "The state of step 2 is kept." in said
    asked = (f"model.start={run}", f"data.cache={run / 'features'}")
    assert all(each in said.replace(" ", "") for each in asked)
    refused = densify("train", recipe, "optimiser.rate=0.0001", *plain, run)
    assert "optimiser.rate differ" in refused.stderr
    done = densify("train", recipe, *asked, "optimiser.rate=0.0001", *plain, tmp_path / "next")
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "next" / "features").exists(), "features are not computed again"
    # And the run itself may go on, where the cause lay outside of it.
    assert densify("train", recipe, *plain, run).exit_code == 0


def test_a_dry_run_measures_and_trains_nothing(densify: Densify, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = densify("train", recipe, "--out", run, "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["samples"], told["steps"], told["batch"], told["truncated"]) == (13, 4, 4, 13)
    assert told["seconds"] > 0
    assert told["seconds"] == pytest.approx(4 * 4 / told["images_per_second"])
    assert told["processes"] == 1
    assert told["bytes_of_encoders"] > 10_000
    assert not run.exists()
    table = densify("train", recipe, "--out", run, "--dry-run").stdout
    assert "captions longer than 6 tokens" in table
    assert "speed of one process on cpu" in table


def test_a_run_begins_with_what_is_cut_and_left_out_of_its_captions_and_samples(
    densify: Densify, recipe: Path, tmp_path: Path
) -> None:
    result = densify("train", recipe, "run.steps=1", "previews.every=0", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "\n13 of 13 captions are longer than 6 tokens, and their ends are not read" in f"\n{result.stderr}"
    assert "\n1 of 13 samples are in no full batch of an epoch" in result.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("run.stepz=3", "Did you mean `steps`?"),
        ("validation.evry=3", "Did you mean `every`?"),
        ("run.steps=many", "`run.steps`"),
        ("data.split=all", "data.split is all: the model learns from the validation samples too"),
        ("model.vae=/nowhere", "no folder '/nowhere' with a vae"),
        ("model.start=nobody/nothing", "nobody/nothing"),
        ("model.vae=nobody/nothing", "'nobody/nothing' is not on this machine, and the hub cannot be reached"),
        ("data.label=kind", "`data.label` is read by nothing"),
        ("run.precision=fp16", "fp16 is for GPUs"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_before_the_first_step(
    densify: Densify, recipe: Path, tmp_path: Path, change: str, says: str
) -> None:
    result = densify("train", recipe, change, "--out", tmp_path / "run")
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr
    assert sum(line.startswith("error: ") for line in result.stderr.splitlines()) == 1
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_an_empty_validation_split_is_said_before_the_first_step(densify: Densify, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(sections(world(tmp_path / "world", validation_share=0.0), **WATCHED)))
    result = densify("train", file, "--out", tmp_path / "run", "--dry-run")
    assert result.exit_code == 2
    assert "Set validation.every=0" in result.stderr


def test_a_changed_byte_in_the_handoff_stops_it(densify: Densify, tmp_path: Path) -> None:
    made = world(tmp_path / "world")
    tar = next(file for file in (tmp_path / "world" / "store" / "captioned").rglob("*.tar"))
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.chmod(0o644)
    tar.write_bytes(data)
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(sections(made)))
    result = densify("train", file, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "its bytes have changed" in result.stderr


def test_the_sizes_are_listed_without_a_recipe(densify: Densify) -> None:
    result = densify("train", "--sizes")
    assert result.exit_code == 0, result.stderr
    (largest,) = (line.split() for line in result.stdout.splitlines() if line.strip().startswith("XL/2"))
    # Those of the papers, without the second half of the output: 4 channels of 1,152 x 4 weights and biases.
    assert largest[1:] == ["28", "16", "1152", "4096", f"{610_856_096 - 16 * 1153:,}", f"{674_816_272:,}"]
