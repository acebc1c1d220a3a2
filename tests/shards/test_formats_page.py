"""docs/formats.md says what the code does: every reason, flag, column, limit and example."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.reasons import FLAGS, REJECT_REASONS
from core.settings import Settings
from shards import index, records
from shards.manifest import CaptionedManifest, SourceManifest, load
from shards.names import MAX_NAME_BYTES
from shards.provenance import Origin, provenance
from tests.shards.caption_shards import IDENTITY, SPEC
from tests.shards.test_records import CAPTIONED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}")[1].split("\n## ")[0]


def examples() -> list[Any]:
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize(("title", "known"), [("Rejects", REJECT_REASONS), ("Flags", FLAGS)])
def test_every_reason_and_flag_is_listed_with_its_meaning(title: str, known: dict[str, str]) -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section(title), re.MULTILINE))
    assert listed == known


@pytest.mark.parametrize(
    ("title", "module"), [("Records", records), ("The member index", index)], ids=["records", "index"]
)
def test_every_column_is_described(title: str, module: Any) -> None:
    rows = re.findall(r"^\| (`.+?) \|", section(title), re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == module.SCHEMA.names
    assert module.FORMAT in PAGE


def test_the_limits_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    for name, shown in (
        ("max_shard_bytes", "64 GiB"),
        ("max_member_bytes", "256 MiB"),
        ("max_members", "2,000,000"),
        ("max_pixels", "100,000,000"),
        ("min_side", "8 pixels"),
        ("max_aspect", "20"),
    ):
        assert f"| {shown} | `DENSIFY_{name.upper()}` |" in PAGE
    assert f"{MAX_NAME_BYTES:,}" in PAGE
    assert [fields[name].default for name in ("max_shard_bytes", "max_member_bytes")] == [64 << 30, 256 << 20]
    assert [fields[name].default for name in ("max_members", "max_pixels")] == [2_000_000, 100_000_000]
    assert [fields[name].default for name in ("min_side", "max_aspect")] == [8, 20.0]


def test_the_examples_are_real() -> None:
    sample, source, captioned = examples()
    manifest = load(json.dumps(captioned).encode())
    assert isinstance(manifest, CaptionedManifest)
    assert manifest.samples_in == manifest.captioned + manifest.rejected == manifest.source.units
    assert manifest.dump().decode() in PAGE
    assert isinstance(load(json.dumps(source).encode()), SourceManifest)
    fields = provenance(Origin(SPEC, IDENTITY, "0" * 64, "0"), CAPTIONED, [], {})
    assert list(sample["densify"]) == list(fields)
    described = re.findall(
        r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", section("Captioned shards"), re.MULTILINE))
    )
    assert set(described) == {*fields, "correction", "previous"}


def test_every_field_of_the_manifest_is_described() -> None:
    described = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", section("Manifests"), re.MULTILINE)))
    assert set(described) == set(CaptionedManifest.model_fields) - {"format"}
