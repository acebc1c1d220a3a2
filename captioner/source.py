"""Where a model's files are, and which ones they are: what ships, a local folder, or a snapshot in the hub's cache.

Leaves out what is in the files. Serves transformers_engine.py and checkpoint.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadCheckpointError, EngineConfigError, HubUnreachableError
from core.spec import DEMO_MODEL

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
#: Files of a model folder that decide its captions; readme, pictures and the like do not.
MODEL_SUFFIXES = frozenset({".json", ".safetensors", ".bin", ".model", ".jinja", ".txt", ".tiktoken"})
SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
_READ_BYTES = 8 << 20

#: Models that are part of this package, by name.
SHIPPED = {DEMO_MODEL: Path(__file__).parent / "demo" / "model"}

_identities: dict[tuple[Any, ...], str] = {}


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


def hub_snapshot(repository: str, revision: str | None, patterns: list[str]) -> Path:
    """The files of a hub repository that match `patterns`, downloaded or from the cache, in one folder.

    The folder is named by the commit. Raises HubUnreachableError, EngineConfigError.
    """
    from huggingface_hub import snapshot_download

    with _HubErrors(repository, revision):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))


class _HubErrors:
    """Turns what the hub's client raises into Densify's tree."""

    def __init__(self, repository: str, revision: str | None) -> None:
        self.what = f"'{repository}'" + (f" at revision '{revision}'" if revision else "")

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if error is None:
            return
        import httpx
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            raise EngineConfigError(
                f"The hub gives {self.what} only to accounts that accepted its terms.",
                hint="Accept them on the model's page and set HF_TOKEN, or set DENSIFY_MODEL to a folder.",
            ) from error
        missing = errors.RepositoryNotFoundError | errors.RevisionNotFoundError | errors.HFValidationError
        if isinstance(error, missing):
            raise EngineConfigError(f"The hub has no model {self.what}.", hint="Check the spelling.") from error
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise EngineConfigError(f"The hub's {self.what} lacks a file that a model needs: {error}") from error
        if isinstance(error, OSError | httpx.HTTPError):
            raise HubUnreachableError(
                f"The model {self.what} is not on this machine, and the hub cannot be reached."
            ) from error


def folder_hash(folder: Path) -> str:
    """SHA-256 over the sorted (name, SHA-256) of a model folder's own files, in hexadecimal.

    Remembered while path, size and times of the files stay the same.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in MODEL_SUFFIXES and path.is_file())
    stats = [path.stat() for path in files]
    mark = (str(folder), *((p.name, s.st_size, s.st_mtime_ns, s.st_ino) for p, s in zip(files, stats, strict=True)))
    if mark not in _identities:
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            digests = list(pool.map(_file_hash, files))
        lines = [f"{digest}  {path.name}\n" for path, digest in zip(files, digests, strict=True)]
        _identities[mark] = hashlib.sha256("".join(lines).encode()).hexdigest()
    return _identities[mark]


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
