"""Where a model's files are, and which ones they are: what ships, a local folder, or a snapshot in the hub's cache.

Leaves out what is in the files. Serves transformers_engine.py and checkpoint.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadCheckpointError, EngineConfigError
from core.hub import folder_hash, hub_snapshot
from core.spec import DEMO_MODEL

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")

#: Models that are part of this package, by name.
SHIPPED = {DEMO_MODEL: Path(__file__).parent / "demo" / "model"}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that was found: all its files are in `folder`, for a hub model the snapshot of `commit`."""

    name: str
    folder: Path
    commit: str | None

    def config(self) -> dict[str, Any]:
        """config.json as an object. Raises BadCheckpointError."""
        return read_config(self.folder)

    def identity(self, *more: Path) -> str:
        """`transformers:sha256:<hash>` of a folder's files (and those of `more`), or `transformers:<id>@<commit>`."""
        extra = "".join(f"+{folder_hash(folder)}" for folder in more)
        if self.commit:
            return f"transformers:{self.name}@{self.commit}{extra}"
        return f"transformers:sha256:{folder_hash(self.folder)}{extra}"


def find_model(model: str, revision: str | None) -> ModelSource:
    """Finds `model`: one that ships, a folder, or a hub id. Raises EngineConfigError, HubUnreachableError."""
    if model in SHIPPED:
        return ModelSource(model, SHIPPED[model], None)
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise EngineConfigError(
                f"The folder {folder} holds no config.json.",
                hint="Set DENSIFY_MODEL to the folder that holds the model's config.json and weights.",
            )
        return ModelSource(model, folder.resolve(), None)
    if folder.is_absolute() or model.startswith((".", "~")) or not _HUB_ID.fullmatch(model):
        raise EngineConfigError(
            f"There is no model folder '{model}'.",
            hint="Set DENSIFY_MODEL to a folder, or to a hub id such as llava-hf/llava-1.5-7b-hf.",
        )
    snapshot = hub_snapshot(model, revision, [*SMALL_FILES, "*.safetensors"])
    if not any(snapshot.glob("*.safetensors")):
        hub_snapshot(model, snapshot.name, ["*.bin"])
    if not (snapshot / "config.json").is_file():
        raise EngineConfigError(f"The hub's '{model}' holds no config.json: it is not a transformers model.")
    return ModelSource(model, snapshot, snapshot.name)


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json. Raises BadCheckpointError when it is no JSON object."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise BadCheckpointError(f"{path} is not a JSON object.")
    return config
