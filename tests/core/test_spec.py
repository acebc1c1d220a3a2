"""The captioning spec: equal questions have equal hashes, different ones differ."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.spec import PIXART_PROMPT, CaptionSpec, Generation, canonical_json


def test_the_default_prompt_is_the_papers_word_for_word() -> None:
    assert PIXART_PROMPT == "Describe this image and its style in a very detailed manner"
    assert CaptionSpec(model="m").prompt == PIXART_PROMPT


def test_the_hash_depends_on_every_field() -> None:
    base = CaptionSpec(model="m")
    changed = {
        "engine": "openai",
        "model": "n",
        "revision": "r",
        "prompt": "p",
        "field_defaults": {"a": "b"},
        "generation": Generation(max_new_tokens=7),
        "strip_opening": True,
        "quantization": "8bit",
    }
    assert set(changed) == set(CaptionSpec.model_fields)
    hashes = {base.hash} | {base.model_copy(update={name: value}).hash for name, value in changed.items()}
    assert len(hashes) == len(changed) + 1


def test_the_hash_survives_a_round_trip_through_json() -> None:
    spec = CaptionSpec(model="m", prompt="Ein Bild von {old_text} – 그림")
    assert CaptionSpec.model_validate_json(spec.model_dump_json()).hash == spec.hash


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        CaptionSpec.model_validate({"model": "m", "promt": "x"})


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == canonical_json({"a": "é", "b": 1}) == '{"a":"é","b":1}'.encode()
