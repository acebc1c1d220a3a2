"""The hand-off manifest: everything that training reads, pinned by hash, immutable.

`densify.handoff/1` holds every captioned sample of its shards, `densify.handoff/2` those that its keep file names. Its
name carries the hash of its content; `digest` inside says the same. Paths are relative to the manifest. Making one from
the store is analysis/handoff_build.py, proving one analysis/handoff_verify.py. Leaves out: the bytes themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from core.errors import BadFieldError
from core.gates import GateFailure, Gates
from core.spec import CaptionSpec, content_hash

FORMAT = "densify.handoff/1"
#: Of a hand-off with a keep file.
KEEP_FORMAT = "densify.handoff/2"
SPLIT_RULE = "validation where the first 52 bits of sha256('{seed}:{key}') / 2**52 < validation_share; else train"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    #: Fields that a keep brings in: without one they are not written, so that /1 has the bytes it always had.
    of_a_keep: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None or name not in self.of_a_keep}


class FileRef(_Model):
    """A file by its path relative to the hand-off manifest, its hash and its size."""

    path: str
    sha256: Sha256
    size_bytes: Count


class KeepRef(FileRef):
    """The keep file (keep.py), and what the keys that it came from said of how they were chosen: told, not proven."""

    claims: dict[str, Any]


class SplitRule(_Model):
    """Which samples are held out for validation: decided by the key's hash alone, on every machine the same."""

    rule: str = SPLIT_RULE
    validation_share: float = Field(0.01, ge=0, le=1)
    seed: int = 0

    def split_of(self, key: str) -> Literal["train", "validation"]:
        """The split of the sample with this key."""
        digits = hashlib.sha256(f"{self.seed}:{key}".encode()).hexdigest()[:13]
        return "validation" if int(digits, 16) / 2**52 < self.validation_share else "train"

    def counts(self, keys: Iterable[str]) -> SplitCounts:
        """How many of the keys fall on each side."""
        found = Counter(self.split_of(key) for key in keys)
        return SplitCounts(train=found["train"], validation=found["validation"])


class SplitCounts(_Model):
    """Samples of the hand-off in each split."""

    train: Count
    validation: Count


class HandoffShard(_Model):
    """One captioned shard: its tar (path, sha256, size_bytes), the files beside it, its counts.

    With a keep, `captioned` = `kept` + `left_out`, and `flagged` and `splits` count kept samples alone.
    """

    of_a_keep = frozenset({"kept", "left_out"})

    name: str
    path: str
    sha256: Sha256
    size_bytes: Count
    edition: str
    source_sha256: Sha256
    model_identity: str
    samples_in: Count
    captioned: Count
    rejected: Count
    kept: Count | None = None
    left_out: Count | None = None
    flagged: Count
    rejects: dict[str, Count]
    splits: SplitCounts
    manifest: FileRef
    records: FileRef
    nouns: FileRef
    samples: FileRef
    released: str | None = Field(None, description="Why a person let this shard through a gate that it failed.")

    @property
    def samples_held(self) -> int:
        """Samples of this shard that the hand-off holds."""
        return self.captioned if self.kept is None else self.kept


class Totals(_Model):
    """Sums over the shards; `samples_in` = `captioned` + `rejected` = the samples and broken members uploaded.

    With a keep, `captioned` = `kept` + `left_out`.
    """

    of_a_keep = frozenset({"kept", "left_out"})

    shards: Count
    samples_in: Count
    captioned: Count
    rejected: Count
    kept: Count | None = None
    left_out: Count | None = None
    flagged: Count
    rejects: dict[str, Count]
    splits: SplitCounts

    @property
    def samples_held(self) -> int:
        """Samples that the hand-off holds."""
        return self.captioned if self.kept is None else self.kept


class GateOutcome(_Model):
    """The data set's gates, and which of them its density table fails as a whole."""

    gates: Gates
    passed: bool
    failures: list[GateFailure]


class Handoff(_Model):
    """The manifest. `digest` is the SHA-256 of the canonical JSON of everything else."""

    of_a_keep = frozenset({"keep"})

    format: Literal["densify.handoff/1", "densify.handoff/2"] = "densify.handoff/1"
    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")
    spec: CaptionSpec
    spec_hash: Sha256
    shards: list[HandoffShard]
    totals: Totals
    keep: KeepRef | None = None
    density: dict[str, Any]
    gates: GateOutcome
    splits: SplitRule
    code_version: str
    digest: str = ""

    @model_validator(mode="after")
    def _is_of_one_version(self) -> Handoff:
        parts: list[Totals | HandoffShard] = [self.totals, *self.shards]
        counts = [count is not None for part in parts for count in (part.kept, part.left_out)]
        if {self.format == KEEP_FORMAT, *counts} != {self.keep is not None}:
            raise ValueError(f"{KEEP_FORMAT} has a keep and counts what is kept, {FORMAT} has and does neither")
        return self

    @property
    def file_name(self) -> str:
        """`<dataset>-<first 16 digits of the digest>.json`."""
        return f"{self.dataset}-{self.digest[:16]}.json"

    def content_digest(self) -> str:
        """The digest that the content has, whatever `digest` says."""
        return content_hash(self.model_dump(mode="json", exclude={"digest"}))

    def dump(self) -> bytes:
        """The bytes of the file: JSON, keys sorted, two spaces, UTF-8, a newline at the end."""
        value = self.model_dump(mode="json")
        return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def load(data: bytes) -> Handoff:
    """Reads a hand-off manifest; what it says is not checked (analysis/handoff_verify.py). Raises BadFieldError."""
    try:
        return Handoff.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadFieldError(f"It is no hand-off manifest ({FORMAT} or /2): {where}: {first['msg']}.") from error
