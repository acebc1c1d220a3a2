"""What goes in and out over HTTP, as models with examples: the text of /docs and of the OpenAPI document.

Names are those of the ledger's records; what stays inside (ids of rows, claims, store keys of chunks) is left out.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.spec import CaptionSpec

T = TypeVar("T")

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_DENSITY: dict[str, Any] = {
    "images": 1280,
    "total_nouns": 38400,
    "distinct_nouns": 4100,
    "valid_nouns": 640,
    "valid_share": 0.156,
    "nouns_per_image": 30.0,
    "min_count": 10,
    "noun_pipeline": "densify-en-2",
}


class _In(BaseModel):
    """A request's body: unknown fields are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    """An answer, filled from the ledger's records by attribute."""

    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(None, description="Cursor of the next page; null on the last one.")


class Problem(BaseModel):
    """Why a request failed (RFC 9457). Some problems carry further members, such as `offset` and `members`."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:densify:problem:shard_corrupt",
                    "title": "Shard corrupt",
                    "status": 422,
                    "detail": "The header at byte 51,200 fails its checksum.",
                    "instance": "/v1/datasets/birds/shards/train-000.tar",
                    "code": "shard_corrupt",
                    "hint": "Make the shard again from its source; a shard is one plain, uncompressed tar.",
                    "offset": 51200,
                    "members": 50,
                }
            ]
        },
    )

    type: str = Field(description="Names the kind of problem; ends in its code.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence: what is wrong, and where.")
    instance: str = Field(description="The path that was asked for.")
    code: str = Field(description="The error's code; docs/errors.md lists them all.")
    hint: str | None = Field(None, description="What to do.")


class GenerationIn(_In):
    """Generation parameters in parts."""

    max_new_tokens: int | None = None
    do_sample: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


class SpecIn(_In):
    """A captioning spec in parts: what is not given comes from the server's settings."""

    engine: Literal["transformers", "openai"] | None = None
    model: str | None = Field(None, min_length=1, description="Hub id, folder, or the endpoint's name of the model.")
    revision: str | None = None
    prompt: str | None = Field(None, min_length=1, max_length=20_000)
    field_defaults: dict[str, str] | None = None
    generation: GenerationIn | None = None
    strip_opening: bool | None = None
    quantization: Literal["8bit", "4bit"] | None = None


class DatasetIn(_In):
    """A new data set. Its spec never changes afterwards."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "birds",
                    "spec": {
                        "model": "llava-hf/llava-1.5-7b-hf",
                        "prompt": "Describe this image and its style in a very detailed manner",
                        "generation": {"max_new_tokens": 300},
                    },
                    "gates": {"min_valid_share": 0.1, "valid_share_images": 10_000, "max_rejected_share": 0.05},
                }
            ]
        }
    )

    name: str = Field(description="1 to 200 letters, digits, '.', '_' and '-'.")
    spec: SpecIn | None = Field(None, description="What captions; none: the server's settings.")
    gates: dict[str, Any] | None = Field(None, description="Thresholds that a shard must pass; none: all pass.")


class DatasetOut(_Out):
    """A data set."""

    name: str = Field(examples=["birds"])
    spec: CaptionSpec
    spec_hash: str = Field(description="SHA-256 of the spec; names what is made by it.", examples=[_SHA256])
    gates: dict[str, Any] | None
    created_at: float = Field(description="Epoch seconds, the ledger's clock.", examples=[1795176000.0])


class ShardOut(_Out):
    """A shard. `samples = captioned + rejected + pending` at every moment."""

    id: str = Field(examples=["5d41402abc4b2a76"])
    dataset: str = Field(examples=["birds"])
    name: str = Field(examples=["train-000"])
    state: str = Field(
        description="uploading, stored, captioning, captioned, measured, accepted, held, handed_off or quarantined.",
        examples=["accepted"],
    )
    url: str | None = Field(description="Where it is read from, for a shard given by URL.")
    sha256: str | None = Field(description="Of the tar as it came; null while uploading.", examples=[_SHA256])
    size_bytes: int = Field(examples=[104857600])
    samples: int = Field(description="Samples and structural rejects in the tar.", examples=[320])
    captioned: int = Field(examples=[318])
    rejected: int = Field(examples=[2])
    pending: int = Field(examples=[0])
    flagged: int = Field(description="Captions with at least one flag.", examples=[3])
    corrections: int = Field(description="Corrections made so far.", examples=[0])
    edition: str | None = Field(description="The newest captioned shard's edition.", examples=["3f2a9c5e1b7d8a60"])
    captioned_sha256: str | None = Field(description="Of the captioned tar.", examples=[_SHA256])
    captioned_size_bytes: int | None = Field(examples=[105000000])
    density: dict[str, Any] | None = Field(description="The shard's own density table.", examples=[_DENSITY])
    findings: list[str] = Field(description="What the gates found, for a shard that is held.", examples=[[]])
    release_reason: str | None = Field(description="Why a held shard was let through by hand.")
    code: str | None = Field(description="Why it is quarantined: the error's code.")
    sentence: str | None = Field(description="Why it is quarantined, or what keeps its work from going on, in words.")
    created_at: float = Field(description="Epoch seconds.", examples=[1795176000.0])
    changed_at: float = Field(description="Epoch seconds.", examples=[1795176060.0])


class UrlsIn(_In):
    """Shards that a worker reads from where they lie."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"urls": ["s3://bucket/train-{000..099}.tar"]}]})

    urls: list[str] = Field(min_length=1, max_length=10_000, description="file://, s3:// or https://; braces expand.")


class UrlsOut(BaseModel):
    """The shards that were taken note of, in the order of the URLs."""

    items: list[ShardOut]


class ReasonIn(_In):
    """Why a person lets a held shard through."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Diagrams: few nouns are expected here."}]})

    reason: str = Field(min_length=1, max_length=2000)

    @field_validator("reason")
    @classmethod
    def _says_something(cls, value: str) -> str:
        return _not_blank(value)


class SampleOut(BaseModel):
    """A caption beside the text that the sample came with."""

    shard: str = Field(examples=["train-000"])
    ordinal: int = Field(description="The sample's place in its shard, from 0.", examples=[17])
    key: str = Field(examples=["000017"])
    caption: str = Field(examples=["A red cardinal sits on a snowy branch, painted in loose watercolour strokes."])
    old_text: str | None = Field(examples=["IMG_0017"])
    flags: list[str] = Field(examples=[[]])
    finish_reason: str | None = Field(description="stop, length or watchdog.", examples=["stop"])
    tokens: int | None = Field(examples=[21])
    width: int | None = Field(examples=[1024])
    height: int | None = Field(examples=[768])
    image_sha256: str | None = Field(examples=[_SHA256])
    version: int = Field(description="0: the model's caption; n: the n-th correction.", examples=[0])


class CorrectionIn(_In):
    """A person's caption."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"caption": "A female cardinal on a bare branch."}]})

    caption: str = Field(min_length=1, max_length=20_000)
    author: str = Field("", max_length=200, description="Who corrects; none: the name of the API key.")

    @field_validator("caption")
    @classmethod
    def _is_text(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a caption has no NUL character")
        return _not_blank(value)


class CorrectionOut(BaseModel):
    """The correction as it was recorded; a new edition of the shard is on its way."""

    shard: str = Field(examples=["train-000"])
    key: str = Field(examples=["000017"])
    caption: str = Field(examples=["A female cardinal on a bare branch."])
    version: int = Field(examples=[1])
    author: str = Field(examples=["anna"])


class RejectOut(_Out):
    """A unit that was not captioned, and why."""

    shard: str = Field(examples=["train-000"])
    ordinal: int = Field(examples=[41])
    key: str = Field(description="The sample's key or the member's name.", examples=["000041"])
    reason: str = Field(description="A reason of docs/formats.md.", examples=["image_truncated"])
    sentence: str = Field(examples=["The JPEG ends after 2,048 of its bytes."])


class ProgressOut(BaseModel):
    """Where a data set stands. `samples = captioned + rejected + pending`."""

    dataset: str = Field(examples=["birds"])
    shards: dict[str, int] = Field(description="Shards by state.", examples=[{"captioning": 1, "accepted": 3}])
    chunks: dict[str, int] = Field(description="Chunks by state.", examples=[{"pending": 1, "done": 7}])
    samples: int = Field(examples=[1280])
    captioned: int = Field(examples=[1100])
    rejected: int = Field(examples=[4])
    pending: int = Field(examples=[176])
    pending_quarantined: int = Field(description="The part of `pending` that nobody works on.", examples=[0])
    flagged: int = Field(examples=[9])
    unfinished_shards: int = Field(description="Shards on which something is still to happen by itself.", examples=[1])
    trouble: str | None = Field(
        description="What keeps a shard's work from going on, when something does.",
        examples=["The endpoint http://host:8001 failed 6 times; last: connection refused"],
    )
    images_per_s: float = Field(description="Over the last minute.", examples=[12.5])
    eta_s: float | None = Field(
        description="Seconds to the end at this rate; null while nothing moves.", examples=[14.1]
    )


class DensityOut(BaseModel):
    """The concept density of all captions that a data set has so far."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"dataset": "birds", "shards": 4, **_DENSITY}]}
    )

    dataset: str
    shards: int = Field(description="Finished shards that were counted.")
    images: int
    total_nouns: int
    distinct_nouns: int
    valid_nouns: int = Field(description="Distinct nouns seen at least `min_count` times.")
    valid_share: float | None
    nouns_per_image: float | None
    min_count: int
    noun_pipeline: str


class KeepOut(BaseModel):
    """Keys of samples to keep, as they were sent."""

    sha256: str = Field(description="Of the file; names it in POST …/handoffs.", examples=[_SHA256])
    size_bytes: int = Field(examples=[3400])
    samples: int = Field(description="Keys in it.", examples=[300])


class HandoffIn(_In):
    """A hand-off holds every shard that is accepted, with all captioned samples or with those to keep."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"keep": _SHA256}]})

    keep: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of keys sent before; none: all samples are kept."
    )


class HandoffOut(_Out):
    """A hand-off: an immutable manifest and what it sums up."""

    dataset: str = Field(examples=["birds"])
    digest: str = Field(description="SHA-256 of the manifest; names it.", examples=[_SHA256])
    key: str = Field(
        description="Where the manifest lies in the store.", examples=["handoffs/birds-9f86d081884c7d65.json"]
    )
    summary: dict[str, Any] = Field(examples=[{"shards": 4, "samples_in": 1280, "captioned": 1276, "rejected": 4}])
    created_at: float = Field(examples=[1795176000.0])


class HandoffCreated(HandoffOut):
    """A hand-off with its manifest."""

    manifest: dict[str, Any]


class Check(BaseModel):
    """One thing that the service leans on."""

    ok: bool
    sentence: str


class Ready(BaseModel):
    """Whether the whole service can do its work."""

    ready: bool
    checks: dict[str, Check] = Field(
        examples=[
            {
                "ledger": {"ok": True, "sentence": "The ledger answers."},
                "store": {"ok": True, "sentence": "The store can be written."},
                "broker": {"ok": True, "sentence": "Redis answers; 12 hints wait."},
                "progress": {"ok": True, "sentence": "Nothing waits."},
            }
        ]
    )


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("it is blank")
    return value
