"""Reads the weight files of a model folder into one dictionary, without running anything that lies in them.

Serves checkpoint.py and tower.py; folders in transformers' format are read by transformers itself.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadCheckpointError

if TYPE_CHECKING:
    import torch

Weights = dict[str, "torch.Tensor"]


def read_weights(folder: Path) -> Weights:
    """All weights of `folder`, on the CPU: safetensors where there are any, else pytorch_model*.bin.

    Raises BadCheckpointError: no weights, a file that an index names is absent, a damaged file, a name twice.
    """
    found: Weights = {}
    for path in weight_files(folder):
        for key, value in _read_file(path).items():
            if key in found:
                raise BadCheckpointError(f"The weight {key} stands in two files of {folder}.")
            found[key] = value
    return found


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, in order of name. Raises BadCheckpointError."""
    for index, pattern in (
        ("model.safetensors.index.json", "model*.safetensors"),
        ("pytorch_model.bin.index.json", "pytorch_model*.bin"),
    ):
        files = sorted(folder.glob(pattern))
        if (folder / index).is_file():
            files = _indexed(folder / index)
        if files:
            return files
    raise BadCheckpointError(f"The folder {folder} holds no weights (model*.safetensors or pytorch_model*.bin).")


def _indexed(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadCheckpointError(f"{index} cannot be read as an index of weights: {error}") from error
    files = [index.parent / Path(name).name for name in names]
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise BadCheckpointError(f"{index.parent} lacks {', '.join(absent)}, which its index names.")
    return files


def _read_file(path: Path) -> Weights:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: a pickle may run code, tensors may not.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        line = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise BadCheckpointError(f"The weight file {path} is damaged: {line}") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise BadCheckpointError(f"The weight file {path} holds something else than named tensors.")
    return content
