"""Where the training of a demo encoder stopped: one file, whole or not at all. Serves vae.py and text_encoder.py."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from core.files import write_atomic


def save(file: Path, step: int, *parts: Any) -> None:
    """Writes the states of models and optimisers after so many steps. Raises StorageError and kin."""
    buffer = io.BytesIO()
    torch.save({"step": step, "parts": [part.state_dict() for part in parts]}, buffer)
    write_atomic(file, buffer.getvalue())


def load(file: Path, *parts: Any) -> int:
    """Brings the same parts back, in the same order, and returns the step; 0 where there is no file."""
    if not file.is_file():
        return 0
    state = torch.load(file, map_location="cpu", weights_only=True)
    for part, saved in zip(parts, state["parts"], strict=True):
        part.load_state_dict(saved)
    return int(state["step"])
