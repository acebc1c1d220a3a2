"""Manifests: the JSON beside a shard that says what it is and pins every file by hash. Its presence means 'complete'.

Leaves out: hand-off manifests (handoff.py). Serves the store, the API, verify, and people with a text editor.
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import StorageError

Sha256 = str


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def dump(self) -> bytes:
        """Canonical JSON for people: sorted keys, two spaces, UTF-8, a newline at the end."""
        value = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


class SourceManifest(_Manifest):
    """A source shard. `units` = `samples` + `rejected`; rejected are the structural ones, known before any caption."""

    format: Literal["densify.source/1"] = "densify.source/1"
    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    units: int = Field(ge=1)
    samples: int = Field(ge=0)
    rejected: int = Field(ge=0)


class FileEntry(_Manifest):
    """A file beside the manifest, found by its name."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class SourceEntry(_Manifest):
    """The source shard that a captioned shard was made from."""

    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    units: int = Field(ge=1)


class CaptionedManifest(_Manifest):
    """A captioned shard. `samples_in` = `captioned` + `rejected`; the tar has the manifest's name with `.tar`."""

    format: Literal["densify.captioned/1"] = "densify.captioned/1"
    name: str
    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    edition: str = Field(pattern=r"^[0-9a-f]{16}$")
    source: SourceEntry
    spec: dict[str, Any]
    spec_hash: Sha256
    model_identity: str
    prompt_hash: Sha256
    samples_in: int = Field(ge=0)
    captioned: int = Field(ge=0)
    rejected: int = Field(ge=0)
    flagged: int = Field(ge=0)
    rejects: dict[str, int]
    flags: dict[str, int]
    corrections: int = Field(ge=0)
    files: dict[str, FileEntry]
    density: dict[str, Any] | None = None
    code_version: str

    @property
    def stem(self) -> str:
        """The name that all files of this shard share, without suffix."""
        return f"{self.source.sha256[:16]}-{self.edition}"


AnyManifest = TypeVar("AnyManifest", SourceManifest, CaptionedManifest)


def load_manifest(kind: type[AnyManifest], data: bytes) -> AnyManifest:
    """Reads a manifest of this kind. Raises StorageError saying what is wrong with it."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StorageError(f"A manifest cannot be read: {where}: {first['msg']}.") from error


def load(data: bytes) -> SourceManifest | CaptionedManifest:
    """Reads a manifest of either kind, told by its `format`. Raises StorageError."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise StorageError(f"A manifest is no JSON: {error}.") from error
    kind = value.get("format") if isinstance(value, dict) else None
    if kind == "densify.source/1":
        return load_manifest(SourceManifest, data)
    if kind == "densify.captioned/1":
        return load_manifest(CaptionedManifest, data)
    raise StorageError(f"A manifest has the format {kind!r}, which is not known.")
