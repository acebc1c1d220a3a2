"""The hand-off manifest: everything that training reads, pinned by hash, immutable.

`densify.handoff/1` holds every captioned sample of its shards, `densify.handoff/2` those that its keep file names. Its
name carries the hash of its content; `digest` inside says the same. Paths are relative to the manifest. Making one from
the store is handoff_build.py, proving one handoff_verify.py. Leaves out: the bytes themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from analysis.density import Table
from analysis.gates import GateFailure, Gates, Tally, check
from core.errors import BadFieldError, CheckFailedError, CountMismatchError, NothingToHandOffError
from core.spec import CaptionSpec, content_hash

if TYPE_CHECKING:
    from analysis.rarefaction import Abundance

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
        parts = [self.totals, *self.shards]
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


def build(
    dataset: str,
    spec: CaptionSpec,
    shards: Sequence[HandoffShard],
    table: Table,
    *,
    code_version: str,
    gates: Gates | None = None,
    splits: SplitRule | None = None,
    keep: KeepRef | None = None,
    cut_off: int = 0,
    abundance: Callable[[], Abundance] | None = None,
) -> Handoff:
    """The hand-off of these shards; their order does not matter. `table` is the density of all of them together.

    `keep`: the file that says which samples are kept; `table` and the shards' counts are then of these. For the gates:
    `cut_off` captions that the token limit cut off, and what makes the histogram behind the table.

    Raises NothingToHandOffError without a shard, CountMismatchError where counts do not add up (the difference is in
    the sentence), CheckFailedError for a shard that stands there twice.
    """
    if not shards:
        raise NothingToHandOffError(f"The data set {dataset} has no accepted shard.")
    shards = sorted(shards, key=lambda shard: (shard.name, shard.sha256))
    for problem in count_problems(shards, table.images):
        raise CountMismatchError(problem)
    twice = [source for source, count in Counter(shard.source_sha256 for shard in shards).items() if count > 1]
    if twice:
        names = ", ".join(shard.name for shard in shards if shard.source_sha256 == twice[0])
        raise CheckFailedError(f"The source shard {twice[0][:16]} would be handed off twice: {names}.")
    totals = sum_up(shards)
    gates = gates or Gates()
    failures = check(gates, table, tally(totals, cut_off), abundance)
    handoff = Handoff(
        format=FORMAT if keep is None else KEEP_FORMAT,
        keep=keep,
        dataset=dataset,
        spec=spec,
        spec_hash=spec.hash,
        shards=shards,
        totals=totals,
        density=table.as_dict(),
        gates=GateOutcome(gates=gates, passed=not failures, failures=failures),
        splits=splits or SplitRule(),
        code_version=code_version,
    )
    return handoff.model_copy(update={"digest": handoff.content_digest()})


def tally(totals: Totals, cut_off: int) -> Tally:
    """What the gates look at, of a hand-off with these totals."""
    return Tally(totals.samples_in, totals.rejected, totals.samples_held, totals.flagged, cut_off)


def count_problems(shards: Sequence[HandoffShard], images: int) -> list[str]:
    """One sentence for each count of these shards that does not add up; `images` is what the density table counted."""
    problems = []
    for shard in shards:
        accounted = shard.captioned + shard.rejected
        if shard.samples_in != accounted:
            problems.append(
                f"{shard.name}: {shard.samples_in} samples in, but {shard.captioned} captioned + {shard.rejected} "
                f"rejected = {accounted}: a difference of {shard.samples_in - accounted}."
            )
        if sum(shard.rejects.values()) != shard.rejected:
            problems.append(
                f"{shard.name}: {shard.rejected} rejected, but {sum(shard.rejects.values())} with a reason."
            )
        done = "captioned"
        if shard.kept is not None and shard.left_out is not None:
            done = "kept"
            if shard.captioned != shard.kept + shard.left_out:
                problems.append(
                    f"{shard.name}: {shard.captioned} captioned, but {shard.kept} kept + {shard.left_out} left out."
                )
        split = shard.splits.train + shard.splits.validation
        if split != shard.samples_held:
            problems.append(f"{shard.name}: {shard.samples_held} {done}, but {split} in the splits.")
    held = sum(shard.samples_held for shard in shards)
    if images != held:
        done = "captioned" if all(shard.kept is None for shard in shards) else "kept"
        problems.append(f"{held} samples are {done}, but the density table counted {images}.")
    return problems


def sum_up(shards: Sequence[HandoffShard]) -> Totals:
    """The totals of these shards."""
    rejects: Counter[str] = Counter()
    for shard in shards:
        rejects.update(shard.rejects)
    return Totals(
        shards=len(shards),
        samples_in=sum(shard.samples_in for shard in shards),
        captioned=sum(shard.captioned for shard in shards),
        rejected=sum(shard.rejected for shard in shards),
        kept=_sum(shard.kept for shard in shards),
        left_out=_sum(shard.left_out for shard in shards),
        flagged=sum(shard.flagged for shard in shards),
        rejects=dict(sorted(rejects.items())),
        splits=SplitCounts(
            train=sum(shard.splits.train for shard in shards),
            validation=sum(shard.splits.validation for shard in shards),
        ),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """None where there is none: without a keep nothing is counted as kept."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def load(data: bytes) -> Handoff:
    """Reads a hand-off manifest; what it says is not checked (handoff_verify.py). Raises BadFieldError."""
    try:
        return Handoff.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadFieldError(f"It is no hand-off manifest ({FORMAT} or /2): {where}: {first['msg']}.") from error
