"""The `.json` of a captioned sample: nothing of the original is lost, and its caption's origin is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spec import CaptionSpec
from shards.provenance import Origin, json_member, provenance
from tests.shards.test_records import CAPTIONED

OWN = {"image_sha256": "ab"}


def merged(original: bytes | None) -> Any:
    return json.loads(json_member(original, OWN))


def test_the_originals_fields_stay_at_the_top() -> None:
    assert merged(b'{"b": 1, "a": [null, "\xea\xb3\xa0"]}') == {"b": 1, "a": [None, "고"], "densify": OWN}
    assert merged(None) == {"densify": OWN}
    assert merged(b"\xef\xbb\xbf{}") == {"densify": OWN}


def test_an_earlier_run_is_kept_as_previous() -> None:
    first = json_member(b'{"a": 1}', {"run": 1})
    second = json.loads(json_member(first, {"run": 2}))
    assert second == {"a": 1, "densify": {"run": 2, "previous": {"run": 1}}}


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        (b"[1, 2]", [1, 2]),
        (b'"words"', "words"),
        (b"null", None),
        (b"{broken", "{broken"),
        (b"", ""),
        (b'{"a": NaN}', '{"a": NaN}'),
        (b'{"a": 1e999}', '{"a": 1e999}'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 100_000),
        (b"1" * 5000, "1" * 5000),
    ],
)
def test_an_original_that_is_no_object_goes_under_original(original: bytes, kept: object) -> None:
    assert merged(original) == {"original": kept, "densify": OWN}


def test_half_a_surrogate_pair_comes_back_as_it_was() -> None:
    assert merged(b'{"a": "\\ud800"}') == {"a": "\ud800", "densify": OWN}


@given(
    st.binary(max_size=50)
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_bytes_give_strict_json(original: bytes) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    value = json.loads(json_member(original, OWN), parse_constant=refuse)
    assert value["densify"]["image_sha256"] == "ab"


def test_provenance_tells_where_the_caption_came_from() -> None:
    spec = CaptionSpec(model="llava", revision="main", prompt="Describe {old_text}")
    origin = Origin(spec, "transformers:sha256:1", "cd" * 32, "1.2.3")
    value = provenance(origin, CAPTIONED, ["pkl"], {0: (2, "Corrected.")})
    assert value == {
        "old_text": "bus",
        "caption": {"finish_reason": "stop", "tokens": 9, "flags": ["boilerplate", "cut_off"]},
        "image_sha256": "ab" * 32,
        "width": 640,
        "height": 480,
        "source": {"shard_sha256": "cd" * 32, "ordinal": 0},
        "engine": "transformers",
        "model": "llava",
        "revision": "main",
        "model_identity": "transformers:sha256:1",
        "prompt": "Describe {old_text}",
        "prompt_hash": spec.prompt_hash,
        "spec_hash": spec.hash,
        "generation": spec.generation.model_dump(mode="json"),
        "version": "1.2.3",
        "members_left_out": ["pkl"],
        "correction": {"version": 2, "model_caption": CAPTIONED.caption},
    }
    assert "correction" not in provenance(origin, CAPTIONED, [], {1: (1, "x")})
