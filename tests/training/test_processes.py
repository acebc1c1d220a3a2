"""Several processes train one model: each step's batch is shared out, one of them tells and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import TrainingStoppedError
from tests.training.small_run import Loop, loop, recipe, weights
from tests.training.two_processes import started

# AdamW divides by the gradient's size, and Muon computes in bfloat16: both would make rounding large.
PLAIN = {"name": "adamw", "rate": 1e-3, "eps": 1e-2, "schedule": "constant", "warmup": 0}
STEPS = [str(step) for step in range(1, 13)]


def in_two_processes(folder: Path, **fields: Any) -> list[str]:
    """Trains in two processes; returns what they said of it."""
    script = folder.parent / f"{folder.name}.py"
    script.write_text(
        "import torch; from pathlib import Path; from tests.training.small_run import Loud, loop, recipe;"
        f"torch.set_num_threads(1); loop(Path({str(folder)!r}), recipe(**{fields!r}), Loud()).run()"
    )
    return started(script).split()


def assert_close(found: Loop, expected: Loop) -> None:
    assert found.states.load() == 12
    for name, value in weights(expected).items():
        torch.testing.assert_close(weights(found)[name], value, rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A run of one process."""
    made = loop(tmp_path_factory.mktemp("one"), recipe(optimiser=PLAIN))
    made.run()
    return made


def test_two_processes_train_the_model_that_one_does(tmp_path: Path, one: Loop) -> None:
    assert in_two_processes(tmp_path / "two", optimiser=PLAIN) == STEPS, "one process tells"
    assert_close(loop(tmp_path / "two", recipe(optimiser=PLAIN)), one)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_model_spread_over_two_processes_learns_what_a_whole_one_does(
    tmp_path: Path, one: Loop, accumulate: int
) -> None:
    spread = {"shard": True, "accumulate": accumulate}
    assert in_two_processes(tmp_path / "two", optimiser=PLAIN, run=spread) == STEPS
    assert_close(loop(tmp_path / "two", recipe(optimiser=PLAIN)), one)


def test_a_state_says_nothing_of_how_many_processes_there_were(tmp_path: Path, one: Loop) -> None:
    loop(tmp_path / "two", recipe(optimiser=PLAIN)).run(until=6)
    assert in_two_processes(tmp_path / "two", optimiser=PLAIN, run={"shard": True}) == STEPS[6:]
    assert_close(loop(tmp_path / "two", recipe(optimiser=PLAIN)), one)


def test_what_accelerate_would_spread_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate import Accelerator, DistributedType

    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.FSDP)
    with pytest.raises(TrainingStoppedError, match=r"FSDP.*does not drive"):
        loop(tmp_path, recipe())


def test_one_process_cannot_spread_a_model(tmp_path: Path) -> None:
    with pytest.raises(TrainingStoppedError, match="one process"):
        loop(tmp_path, recipe(optimiser=PLAIN, run={"shard": True}))


def test_a_loss_without_a_number_names_the_keys_of_every_process(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text(f"""
import torch
from pathlib import Path
from core.errors import TrainingStoppedError
from tests.training.small_run import loop, recipe
torch.set_num_threads(1)
made = loop(Path({str(tmp_path / "two")!r}), recipe(optimiser={PLAIN!r}))
read, losses, keys = made.task.read, made.task.losses, []
def broken(model, batch):
    keys.append(batch.keys)
    last = made.accelerator.process_index == 1 and len(keys) == 2
    return losses(model, batch) * (float("nan") if last else 1)
made.task.losses = broken
try:
    made.run()
except TrainingStoppedError as stopped:
    Path({str(tmp_path)!r}, f"keys-{{made.accelerator.process_index}}").write_text(" ".join(keys[1]))
    Path({str(tmp_path)!r}, f"said-{{made.accelerator.process_index}}").write_text(stopped.sentence)
""")
    started(script)
    said = [(tmp_path / f"said-{rank}").read_text() for rank in range(2)]
    keys = [key for rank in range(2) for key in (tmp_path / f"keys-{rank}").read_text().split()]
    assert said[0] == said[1]
    assert len(keys) == 4
    assert all(key in said[0] for key in keys)
