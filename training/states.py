"""The states of a run: everything that a step changes, in one file for each saved step, whole or not at all.

What is spread over processes (sharding.py) is collected first, so that a state says nothing of how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.errors import ConflictError
from core.files import TEMPORARY_MARK, atomic_writer, write_atomic
from training.processes import is_first, wait
from training.sharding import fill, whole

FOLDER = "states"
_PREFIX, _SUFFIX = "step-", ".pt"
#: Names the step whose state was saved before what is measured and drawn after it was done.
_OWED = "owed"


def steps(run: Path) -> list[int]:
    """The steps that have a state in a run's folder, in order."""
    names = (entry.name for entry in (run / FOLDER).glob(f"{_PREFIX}*{_SUFFIX}"))
    return sorted(int(name.removeprefix(_PREFIX).removesuffix(_SUFFIX)) for name in names)


def newest(run: Path) -> int | None:
    """The last step that has a state; None where there is none."""
    return next(reversed(steps(run)), None)


class States:
    """`model`, `optimisers`: torch's own; `average`: diffusers' EMAModel; `scaler`: that of fp16; `keep`: how many
    states are kept, newest first."""

    def __init__(
        self,
        run: Path,
        keep: int,
        model: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        average: Any = None,
        scaler: Any = None,
    ) -> None:
        self.folder, self._run, self._keep = run / FOLDER, run, keep
        self._model, self._optimisers = model, optimisers
        self._average, self._scaler = average, scaler

    def steps(self) -> list[int]:
        """The steps that have a state, in order."""
        return steps(self._run)

    def newest(self) -> int | None:
        """The last step that has a state; None where there is none."""
        return newest(self._run)

    def load(self) -> int:
        """Brings the newest state back and returns its step; 0 where there is none. All processes must call it.

        Raises ConflictError where an older version's optimiser moved a weight another way.
        """
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        step = self.newest()
        if step is None:
            return 0
        state = torch.load(self._path(step), map_location="cpu", weights_only=True, mmap=True)
        set_state_dict(
            self._model,
            self._optimisers,
            model_state_dict=state["model"],
            optim_state_dict=self._fitting(state["optimisers"], step),
            options=StateDictOptions(full_state_dict=True),
        )
        if self._average is not None:
            self._average.optimization_step = state["average"]["step"]
            for into, value in zip(self._average.shadow_params, state["average"]["weights"], strict=True):
                fill(into, value)
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        return step

    def _fitting(self, saved: dict[str, Any], step: int) -> dict[str, Any]:
        """What optimisers remember, in groups as they are made now: rates and decay follow from the recipe."""
        from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

        now: dict[str, Any] = dict(get_optimizer_state_dict(self._model, self._optimisers))
        other = [name for name, kept in now["state"].items() if kept.keys() != saved["state"].get(name, {}).keys()]
        if other:
            raise ConflictError(
                f"{self._path(step)} is an older version's: its optimiser remembers other things of {other[0]}.",
                hint="Go on with the version that lineage.json names, or begin a new run with --out.",
            )
        return {"state": saved["state"], "param_groups": now["param_groups"]}

    def owe(self, step: int) -> None:
        """Says that something is to be done after this step that its state does not hold."""
        if is_first():
            write_atomic(self.folder / _OWED, str(step).encode())

    def owed(self) -> int | None:
        """The step after which something was to be done, where it was not."""
        file = self.folder / _OWED
        return int(file.read_text()) if file.is_file() else None

    def settle(self) -> None:
        """It was done."""
        if is_first():
            (self.folder / _OWED).unlink(missing_ok=True)

    def save(self, step: int) -> None:
        """Writes the state of this step; all processes must call it.

        Raises StorageFullError or StorageError; older states are then untouched.
        """
        state = self._collected()
        if is_first():
            with atomic_writer(self._path(step)) as file:
                torch.save(state, file)
            self._remove_old()
        wait()

    def _collected(self) -> dict[str, Any]:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        model, optimisers = get_state_dict(self._model, self._optimisers, options=options)
        state: dict[str, Any] = {"model": model, "optimisers": optimisers}
        if self._average is not None:
            weights = [whole(each).cpu() for each in self._average.shadow_params]
            state["average"] = {"step": self._average.optimization_step, "weights": weights}
        if self._scaler is not None:
            state["scaler"] = self._scaler.state_dict()
        return state

    def _remove_old(self) -> None:
        for step in self.steps()[: -self._keep]:
            self._path(step).unlink()
        for part in self.folder.glob(f"*{TEMPORARY_MARK}*"):
            part.unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{_PREFIX}{step:08d}{_SUFFIX}"
