"""The loop: a run that was stopped or killed gives the weights of one that was not, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from core.errors import OutOfMemoryError, StorageFullError, TrainingStoppedError
from tests.training.small_run import Silent, loop, recipe, weights


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    whole = loop(tmp_path_factory.mktemp("whole"), recipe())
    assert whole.run() == 12
    return weights(whole)


def out_of_memory(*_: object) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(found[name], expected[name])]
    assert not different, different


@pytest.mark.parametrize("stops", [(3,), (1, 2, 7), (6, 6)])
def test_a_run_that_was_stopped_gives_the_same_weights(
    tmp_path: Path, undisturbed: dict[str, torch.Tensor], stops: tuple[int, ...]
) -> None:
    for stop in stops:
        assert loop(tmp_path, recipe()).run(until=stop) == stop
    last = loop(tmp_path, recipe())
    assert last.run() == 12
    assert_same(weights(last), undisturbed)


def test_a_run_that_was_killed_gives_the_same_weights(tmp_path: Path, undisturbed: dict[str, torch.Tensor]) -> None:
    command = [sys.executable, "-m", "tests.training.small_run", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "8":
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    after = loop(tmp_path, recipe())
    assert after.states.newest() == 6, "the state of step 6 was whole when it was killed"
    after.run()
    assert_same(weights(after), undisturbed)


def test_parts_of_a_batch_add_up_to_the_batch(tmp_path: Path) -> None:
    # AdamW divides by the gradient's size, and Muon computes in bfloat16: with a large eps steps follow the gradient.
    plain = {"name": "adamw", "eps": 1.0, "rate": 0.1}
    whole, parts = (loop(tmp_path / str(parts), recipe(run={"accumulate": parts}, optimiser=plain)) for parts in (1, 4))
    assert whole.run() == parts.run() == 12
    expected, found = weights(whole), weights(parts)
    assert max(float((found[name] - expected[name]).abs().max()) for name in expected) < 1e-6
    start = weights(loop(tmp_path / "new", recipe(optimiser=plain)))
    assert max(float((expected[name] - start[name]).abs().max()) for name in expected) > 1e-3


def test_it_learns_and_tells_of_it(tmp_path: Path) -> None:
    heard = Silent()
    run = loop(tmp_path, recipe(run={"steps": 60, "log_every": 20, "save_every": 100}, optimiser={"warmup": 0}), heard)
    run.run()
    assert [said.step for said in heard.heard] == [20, 40, 60]
    assert heard.heard[-1].loss < 0.9 * heard.heard[0].loss
    assert all(said.images_per_second > 0 and said.gradient > 0 for said in heard.heard)
    assert [said.rate for said in heard.heard] == pytest.approx([1.0, 1.0, 1 / 18])


def test_a_loss_that_is_no_number_stops_it_names_the_keys_and_keeps_the_last_state(tmp_path: Path) -> None:
    run = loop(tmp_path, recipe())
    run.run(until=6)
    broken = loop(tmp_path, recipe())
    file = broken.task.cached.latents[0]  # type: ignore[attr-defined]
    read = type(file).__getitem__
    bad = broken.task.cached.places[3].key  # type: ignore[attr-defined]

    class Broken(type(file)):  # type: ignore[misc]
        def __getitem__(self, item: int) -> torch.Tensor:
            return read(self, item) * (float("nan") if item == 3 else 1.0)

    file.__class__ = Broken
    with pytest.raises(TrainingStoppedError, match=f"The latents of {bad} are none") as stopped:
        broken.run()
    assert "state of step" in stopped.value.hint
    again = loop(tmp_path, recipe())
    assert (again.states.newest() or 0) >= 6
    assert again.run() == 12
    assert all(value.isfinite().all() for value in weights(again).values())


def test_a_full_disk_leaves_the_older_state_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = loop(tmp_path, recipe())
    run.run(until=3)

    def full(state: object, file: IO[bytes]) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(StorageFullError):
            loop(tmp_path, recipe()).run(until=6)
    again = loop(tmp_path, recipe())
    assert again.states.steps() == [3]
    again.run(until=6)
    assert again.states.steps() == [3, 6]
    assert len(list((tmp_path / "states").iterdir())) == 2


def test_as_many_states_are_kept_as_were_asked_for(tmp_path: Path) -> None:
    run = loop(tmp_path, recipe(run={"save_every": 2, "keep": 2}))
    run.run()
    assert run.states.steps() == [10, 12]


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        recipe(run={"batch": 5, "accumulate": 2})


def test_no_memory_names_the_part_and_what_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = loop(tmp_path, recipe(run={"accumulate": 2}))

    monkeypatch.setattr(asked.task, "losses", out_of_memory)
    with pytest.raises(OutOfMemoryError, match="A part of 2 images") as caught:
        asked.run()
    assert "run.accumulate=4 or run.checkpointing=true" in caught.value.hint


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ({"batch": 6, "accumulate": 2}, "run.accumulate=6 or"),
        ({"batch": 12, "accumulate": 3, "checkpointing": True}, "with run.accumulate=6: it goes on"),
        ({"accumulate": 4}, "with run.checkpointing=true: it goes on"),
        ({"accumulate": 4, "checkpointing": True}, "as small as it can be"),
    ],
)
def test_what_a_full_memory_asks_for_is_a_recipe_that_can_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: dict[str, Any], says: str
) -> None:
    asked = loop(tmp_path, recipe(run=run))
    monkeypatch.setattr(asked.task, "losses", out_of_memory)
    with pytest.raises(OutOfMemoryError) as caught:
        asked.run()
    assert says in caught.value.hint


@pytest.mark.parametrize("part", ["optimiser", "average"])
def test_no_memory_for_what_a_step_remembers_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    asked = loop(tmp_path, recipe())
    monkeypatch.setattr(asked.optimisers[0] if part == "optimiser" else asked.average, "step", out_of_memory)
    with pytest.raises(OutOfMemoryError, match="The weights, their gradients and averages") as caught:
        asked.run()
    assert "run.shard=true" in caught.value.hint


def test_no_memory_for_previews_loses_no_step(tmp_path: Path) -> None:
    asked = loop(tmp_path, recipe())
    asked.watches = ((6, out_of_memory),)
    with pytest.raises(OutOfMemoryError, match="previews do not fit") as caught:
        asked.run()
    assert "previews.every=0" in caught.value.hint
    assert asked.states.newest() == 6


def test_the_first_step_without_a_number_is_named_however_seldom_losses_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = loop(tmp_path, recipe(run={"log_every": 12, "save_every": 12, "precision": "fp32"}))
    keys, told = [], []
    losses = asked.task.losses

    def broken(model: Any, batch: Any) -> torch.Tensor:
        keys.append(batch.keys)
        found = losses(model, batch)
        # The loss alone: its gradient is a number, as it is where fp16 leaves a step out.
        return found + (found.detach() * float("nan") if len(keys) == 5 else 0)

    monkeypatch.setattr(asked.task, "losses", broken)
    with pytest.raises(TrainingStoppedError) as caught:
        asked.run()
    told = caught.value.sentence
    assert len(keys) == 12, "losses were looked at once"
    assert "step 5" in told
    assert all(key in told for key in keys[4])
    assert not all(key in told for key in keys[11])


def test_what_was_to_be_measured_when_it_was_killed_is_measured_when_it_goes_on(tmp_path: Path) -> None:
    seen: list[int] = []

    def killed(step: int, model: Any) -> None:
        raise KeyboardInterrupt

    asked = loop(tmp_path, recipe())
    asked.watches = ((6, killed),)
    with pytest.raises(KeyboardInterrupt):
        asked.run()
    for _ in range(2):
        again = loop(tmp_path, recipe())
        again.watches = ((6, lambda step, model: seen.append(step)),)
        again.run()
    assert seen == [6, 12], "and once alone"


def test_computing_activations_twice_changes_no_loss(tmp_path: Path) -> None:
    heard = []
    for twice in (False, True):
        said = Silent()
        asked = recipe(run={"checkpointing": twice}, optimiser={"name": "adamw", "eps": 1e-2})
        loop(tmp_path / str(twice), asked, said).run()
        heard.append([each.loss for each in said.heard])
    assert heard[1] == pytest.approx(heard[0], abs=1e-6)
    assert heard[0][-1] != heard[0][0]


def test_a_bf16_run_goes_on_bit_for_bit(tmp_path: Path, undisturbed: dict[str, torch.Tensor]) -> None:
    asked = recipe(run={"precision": "bf16"})
    whole = loop(tmp_path / "whole", asked)
    whole.run()
    for stop in (2, 7, 12):
        last = loop(tmp_path / "stopped", asked)
        last.run(until=stop)
    assert_same(weights(last), weights(whole))
    assert any(not torch.equal(value, undisturbed[name]) for name, value in weights(whole).items()), "it is another run"
