"""The `.json` member of a captioned sample: the original object, and under "densify" where its caption came from.

Leaves out: the tar around it (shards/captioned.py). docs/formats.md describes every field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.spec import CaptionSpec
from shards.records import Record

FIELD = "densify"


@dataclass(frozen=True, slots=True)
class Origin:
    """What all samples of one captioned shard share. `code_version` is Densify's own."""

    spec: CaptionSpec
    model_identity: str
    source_sha256: str
    code_version: str


def provenance(
    origin: Origin, record: Record, left_out: Sequence[str], corrections: Mapping[int, tuple[int, str]]
) -> dict[str, Any]:
    """The "densify" object of one captioned sample. `left_out`: extensions of members not copied."""
    spec = origin.spec
    value: dict[str, Any] = {
        "old_text": record.old_text,
        "caption": {"finish_reason": record.finish_reason, "tokens": record.tokens, "flags": list(record.flags)},
        "image_sha256": record.image_sha256,
        "width": record.width,
        "height": record.height,
        "source": {"shard_sha256": origin.source_sha256, "ordinal": record.ordinal},
        "engine": spec.engine,
        "model": spec.model,
        "revision": spec.revision,
        "model_identity": origin.model_identity,
        "prompt": spec.prompt,
        "prompt_hash": spec.prompt_hash,
        "spec_hash": spec.hash,
        "generation": spec.generation.model_dump(mode="json"),
        "version": origin.code_version,
        "members_left_out": list(left_out),
    }
    if record.ordinal in corrections:
        value["correction"] = {"version": corrections[record.ordinal][0], "model_caption": record.caption}
    return value


def json_member(original: bytes | None, own: Mapping[str, Any]) -> bytes:
    """The member's bytes: the original's fields at the top, `own` under "densify".

    An earlier "densify" object goes to densify.previous. An original that is no JSON object goes to "original" (as its
    value, or as text where it is not strict JSON).
    """
    fields = parse_object(original) if original is not None else {}
    added = dict(own)
    if FIELD in fields:
        added["previous"] = fields.pop(FIELD)
    try:
        return _dump({**fields, FIELD: added})
    except (ValueError, RecursionError):
        # A value that JSON cannot write back, such as 1e999 read as infinity: keep the words as they were.
        text = (original or b"").decode("utf-8", "replace")
        return _dump({"original": text, FIELD: dict(own)})


def parse_object(original: bytes) -> dict[str, Any]:
    """A JSON member as an object; anything else under the one field "original"."""
    try:
        value = json.loads(original.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {"original": original.decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {"original": value}


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _dump(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, legal as an escape only.
        return json.dumps(value, allow_nan=False).encode()
