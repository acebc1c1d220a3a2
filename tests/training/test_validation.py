"""The validation loss: of held-out samples alone, the same whenever it is measured, moved by nothing but the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import BadFieldError, BadRecipeError
from tests.training.small_handoff import LABELS, held_out, sections, world
from tests.training.small_run import Silent, weights
from tests.training.test_prepare import Counted
from training.class_to_image import number_by
from training.epoch import Cursor
from training.loop import Loop
from training.prepare import Prepared, prepare
from training.recipe import Recipe
from training.task import Batch, generators
from training.validation import Validation


def ready(small: dict[str, Path], folder: Path, **changes: Any) -> tuple[Prepared, Validation]:
    """A run and its validation; its weights are no longer those of a model that says nothing."""
    changes = {"validation": {"every": 2, "samples": 64, "times": 4}} | changes
    made = prepare(Recipe.model_validate(sections(small, **changes)), folder, Counted())
    torch.manual_seed(0)
    with torch.no_grad():
        for value in made.task.model.parameters():
            value += 0.1 * torch.randn(value.shape)
    return made, Validation(made, folder, Counted())


@pytest.mark.parametrize("method", ["pixart", "dit"])
def test_a_second_measurement_is_the_first_whatever_chance_did_between(
    small: dict[str, Path], tmp_path: Path, method: str
) -> None:
    made, validation = ready(small, tmp_path, method=method)
    model = made.task.model.eval()
    first = validation.measure(model)
    torch.manual_seed(99)
    assert validation.measure(model) == first
    assert [place for place, _ in first.by_place] == [0.125, 0.375, 0.625, 0.875]
    assert first.loss == pytest.approx(sum(loss for _, loss in first.by_place) / 4)
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    assert validation.measure(model).loss != first.loss


def test_it_is_of_samples_that_training_never_reads(small: dict[str, Path], tmp_path: Path) -> None:
    made, validation = ready(small, tmp_path)
    assert validation.keys == held_out()
    assert not set(validation.keys) & {record.key for record in made.source.samples}


def test_as_many_samples_as_were_asked_for_chosen_by_the_seed(small: dict[str, Path], tmp_path: Path) -> None:
    few = {"every": 2, "samples": 2, "times": 2}
    chosen = [ready(small, tmp_path, validation=few, run={"seed": seed})[1].keys for seed in (3, 3, 4, 5, 6, 7)]
    assert chosen[0] == chosen[1]
    assert all(len(keys) == 2 and set(keys) <= set(held_out()) for keys in chosen)
    assert len({tuple(keys) for keys in chosen}) > 1


@pytest.mark.parametrize("method", ["pixart", "dit"])
def test_it_is_the_mean_over_images_and_times_of_the_tasks_own_loss_with_every_caption(
    small: dict[str, Path], tmp_path: Path, method: str
) -> None:
    objective = {"kind": "epsilon", "times": "uniform", "min_snr": 5.0}
    made, validation = ready(small, tmp_path, method=method, captions={"dropout": 1.0}, objective=objective)
    model, task = made.task.model.eval(), validation._task
    learning = made.task.learning
    expected = []
    for number in range(4):
        place = torch.tensor([(number + 0.5) / 4])
        for at in range(len(validation.keys)):
            (chance,) = generators(3, -1 - number, at, 1)
            batch = task.read(Cursor(0, 0), np.array([at]), (chance,))
            noise, _ = learning.draw(batch.latents.shape, (chance,))
            noised = learning.noised(batch.latents, noise, place)
            with torch.no_grad():
                said = answer(model, noised, batch, method)
            expected.append(float(learning.loss(said, noised, batch.latents)))
    assert validation.measure(model).loss == pytest.approx(np.mean(expected), rel=1e-4)


def answer(model: Any, noised: Any, batch: Batch, method: str) -> torch.Tensor:
    """What the model says of one image that is read with its caption, or its class."""
    if method == "dit":
        assert not batch.given["dropped"].any()
        given = {"class_labels": batch.given["classes"]}
    else:
        assert batch.given["texts"].shape[1] == 6, "its caption, not the one token of no caption"
        given = {"encoder_hidden_states": batch.given["texts"], "encoder_attention_mask": batch.given["mask"]}
    said: torch.Tensor = model(noised.latents, timestep=noised.times, **given).sample
    return said


def test_a_run_that_is_watched_ends_with_the_weights_of_one_that_is_not(small: dict[str, Path], tmp_path: Path) -> None:
    ends = []
    for name in ("watched", "alone"):
        made, validation = ready(small, tmp_path / name)
        seen: list[float] = []

        def measure(step: int, model: Any, validation: Validation = validation, seen: list[float] = seen) -> None:
            seen.append(validation.measure(model).loss)

        watches = ((2, measure),) if name == "watched" else ()
        loop = Loop(made.recipe, made.task, made.epochs, tmp_path / name, Silent(), watches)
        loop.run()
        ends.append(weights(loop))
        assert len(set(seen)) == (2 if watches else 0), "after steps 2 and 4, of different weights"
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[1])


def test_a_handoff_without_validation_split_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadRecipeError, match="holds no sample of the split validation") as refused:
        ready(world(tmp_path, validation_share=0.0), tmp_path / "run")
    assert "validation.every=0" in refused.value.hint


def test_validation_of_what_is_learnt_is_refused(small: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadRecipeError, match="learns from the validation samples too"):
        ready(small, tmp_path, data={"split": "all"})


def test_a_class_that_is_not_learnt_is_named() -> None:
    assert number_by(LABELS, ["cat", "boat"]) == [1, 0]
    with pytest.raises(BadFieldError, match="1 classes are none that the model learns: dog"):
        number_by(LABELS, ["cat", "dog"])
