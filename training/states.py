"""The states of a run: everything that a step changes, in one folder for each saved step, whole or not at all.

accelerate writes and reads them, so that weights and optimisers that are spread over processes (FSDP) are too. A state
is written under another name, flushed to the disk and renamed; what a kill left behind is removed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from core.files import fsync_folder, storage_errors

FOLDER = "states"
_PREFIX, _PART = "step-", ".part"


class States:
    """`keep`: how many are kept, newest first."""

    def __init__(self, run: Path, accelerator: Any, keep: int) -> None:
        self.folder = run / FOLDER
        self._accelerator, self._keep = accelerator, keep

    def steps(self) -> list[int]:
        """The steps that have a whole state, in order."""
        if not self.folder.is_dir():
            return []
        names = (entry.name for entry in self.folder.iterdir() if entry.is_dir())
        return sorted(int(name.removeprefix(_PREFIX)) for name in names if _is_whole(name))

    def newest(self) -> int | None:
        """The last step that has a state; None where there is none."""
        return next(reversed(self.steps()), None)

    def load(self) -> int:
        """Brings the newest state back and returns its step; 0 where there is none."""
        step = self.newest()
        if step is None:
            return 0
        self._accelerator.load_state(str(self._path(step)))
        return step

    def save(self, step: int) -> None:
        """Writes the state of this step. Raises StorageFullError or StorageError; older states are then untouched."""
        path = self._path(step)
        part = path.with_name(path.name + _PART)
        with storage_errors(str(path)):
            if self._accelerator.is_main_process:
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(parents=True)
            self._accelerator.wait_for_everyone()
            self._accelerator.save_state(str(part))
            self._accelerator.wait_for_everyone()
            if self._accelerator.is_main_process:
                _flush(part)
                shutil.rmtree(path, ignore_errors=True)
                part.rename(path)
                fsync_folder(self.folder)
                self._remove_old()
            self._accelerator.wait_for_everyone()

    def _remove_old(self) -> None:
        for step in self.steps()[: -self._keep]:
            shutil.rmtree(self._path(step))
        for entry in self.folder.iterdir():
            if entry.name.endswith(_PART):
                shutil.rmtree(entry, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{_PREFIX}{step:08d}"


def _is_whole(name: str) -> bool:
    return name.startswith(_PREFIX) and name.removeprefix(_PREFIX).isdigit()


def _flush(folder: Path) -> None:
    """Makes everything in a folder survive a power cut."""
    for file in folder.rglob("*"):
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    fsync_folder(folder)
