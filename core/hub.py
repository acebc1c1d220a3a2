"""Model folders: files of the hub, downloaded or from its cache, and which files they are, by hash.

Leaves out what is in the files. Serves the captioner and training.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.errors import EngineConfigError, HubUnreachableError

#: Files of a model folder that decide its captions; readme, pictures and the like do not.
MODEL_SUFFIXES = frozenset({".json", ".safetensors", ".bin", ".model", ".jinja", ".txt", ".tiktoken"})
_READ_BYTES = 8 << 20
_identities: dict[tuple[Any, ...], str] = {}


def hub_snapshot(
    repository: str,
    revision: str | None,
    patterns: list[str],
    *,
    instead: str = "set DENSIFY_MODEL to the folder",
) -> Path:
    """The files of a hub repository that match `patterns`, downloaded or from the cache, in one folder.

    The folder is named by the commit. `instead`: what to do with a folder that was copied here. Raises
    HubUnreachableError, EngineConfigError.
    """
    from huggingface_hub import snapshot_download

    with _HubErrors(repository, revision, instead):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))


class _HubErrors:
    """Turns what the hub's client raises into Densify's tree."""

    def __init__(self, repository: str, revision: str | None, instead: str) -> None:
        self.instead = instead
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
                hint=f"Accept them on the model's page and set HF_TOKEN, or copy the model here and {self.instead}.",
            ) from error
        missing = errors.RepositoryNotFoundError | errors.RevisionNotFoundError | errors.HFValidationError
        if isinstance(error, missing):
            raise EngineConfigError(f"The hub has no model {self.what}.", hint="Check the spelling.") from error
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise EngineConfigError(f"The hub's {self.what} lacks a file that a model needs: {error}") from error
        if isinstance(error, OSError | httpx.HTTPError):
            raise HubUnreachableError(
                f"The model {self.what} is not on this machine, and the hub cannot be reached.",
                hint=f"Download the model where the hub can be reached, copy its folder here, {self.instead}.",
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
