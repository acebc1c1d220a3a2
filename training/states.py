"""The states of a run: everything that a step changes, in one file for each saved step, whole or not at all.

What is spread over processes (sharding.py) is collected first, so that a state says nothing of how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.files import TEMPORARY_MARK, atomic_writer
from training.processes import is_first, wait
from training.sharding import fill, whole

FOLDER = "states"
_PREFIX, _SUFFIX = "step-", ".pt"


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
        self.folder, self._keep = run / FOLDER, keep
        self._model, self._optimisers = model, optimisers
        self._average, self._scaler = average, scaler

    def steps(self) -> list[int]:
        """The steps that have a state, in order."""
        names = (entry.name for entry in self.folder.glob(f"{_PREFIX}*{_SUFFIX}"))
        return sorted(int(name.removeprefix(_PREFIX).removesuffix(_SUFFIX)) for name in names)

    def newest(self) -> int | None:
        """The last step that has a state; None where there is none."""
        return next(reversed(self.steps()), None)

    def load(self) -> int:
        """Brings the newest state back and returns its step; 0 where there is none. All processes must call it."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        step = self.newest()
        if step is None:
            return 0
        state = torch.load(self._path(step), map_location="cpu", weights_only=True, mmap=True)
        set_state_dict(
            self._model,
            self._optimisers,
            model_state_dict=state["model"],
            optim_state_dict=state["optimisers"],
            options=StateDictOptions(full_state_dict=True),
        )
        if self._average is not None:
            self._average.optimization_step = state["average"]["step"]
            for into, value in zip(self._average.shadow_params, state["average"]["weights"], strict=True):
                fill(into, value)
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        return step

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
