"""`densify caption` and `densify verify`: captioned shards without a service, and the proof of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Densify, read_webdataset


@pytest.fixture(autouse=True)
def _small(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_MODEL", str(small_model))
    monkeypatch.setenv("DENSIFY_MAX_NEW_TOKENS", "8")
    monkeypatch.setenv("DENSIFY_CPU_THREADS", "1")
    monkeypatch.setenv("DENSIFY_DEVICE", "cpu")


def test_local_shards_are_captioned_proven_and_readable(
    densify: Densify, shard_files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "captioned"
    result = densify("caption", shard_files[0], shard_files[2], "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    shards = json.loads(result.stdout)["shards"]
    assert [(each["samples_in"], each["captioned"], each["rejected"]) for each in shards] == [(6, 6, 0), (6, 5, 1)]
    assert "shop-002.tar: 5 captioned, 1 rejected" in result.stderr

    proof = densify("verify", out)
    assert proof.exit_code == 0
    assert "proven: 12 samples in = 11 captioned + 1 rejected" in proof.stdout
    samples = read_webdataset([Path(shards[0]["tar"])])
    assert [sample["__key__"] for sample in samples] == [f"scene-{number:08d}" for number in range(6)]
    assert all(sample["txt"] for sample in samples)

    before = {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}
    again = densify("caption", shard_files[0], shard_files[2], "--out", out)
    assert again.exit_code == 0
    assert {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()} == before

    tar = Path(shards[0]["tar"])
    data = bytearray(tar.read_bytes())
    data[2000] ^= 1
    tar.unlink()  # it may be a hard link
    tar.write_bytes(data)
    changed = densify("verify", tar)
    assert changed.exit_code == 1
    assert "NOT proven" in changed.stdout
    report = json.loads(densify("verify", out, "--json").stdout)
    assert report["ok"] is False
    assert {finding["where"] for finding in report["findings"]} >= {tar.name}
    assert [shard["ok"] for shard in report["shards"]].count(True) == 1


def test_a_damaged_shard_is_named(densify: Densify, shard_files: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(shard_files[0].read_bytes()[:20_000])
    result = densify("caption", cut, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "cut.tar" in result.stderr


def test_urls_and_wrong_specs_are_refused(densify: Densify, shard_files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert densify("caption", "s3://bucket/a.tar", "--out", out).exit_code == 2
    spec = tmp_path / "spec.json"
    for content, says in (
        ('{"generation": {"max_new_tokens": 0}}', "spec.generation.max_new_tokens"),
        ('{"modle": "x"}', "spec.modle"),
        ('{"prompt": "{"}', "lone '{'"),
        ('{"model": "/no/such/folder"}', "/no/such/folder"),
    ):
        spec.write_text(content)
        result = densify("caption", shard_files[0], "--out", out, "--spec-file", spec)
        assert result.exit_code == 2, result.stderr
        assert says in result.stderr


def test_without_a_model_the_way_to_one_is_told(
    densify: Densify, shard_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DENSIFY_MODEL", "")
    result = densify("caption", shard_files[0], "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "hint: Set DENSIFY_MODEL" in result.stderr


def test_there_must_be_something_to_verify(densify: Densify, tmp_path: Path) -> None:
    (tmp_path / "note.json").write_text("{}")
    (tmp_path / "list.json").write_text("[")
    for path in (tmp_path, tmp_path / "note.json", tmp_path / "list.json", tmp_path / "absent"):
        result = densify("verify", path)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")


def test_a_tar_without_a_manifest_is_not_proven(densify: Densify, shard_files: list[Path]) -> None:
    result = densify("verify", shard_files[0])
    assert result.exit_code == 1
    assert "shop-000.json" in result.stdout
