"""`densify curate`, then `densify handoff --keep`, on the embedded service: chosen, handed off, proven, written out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.density import Table
from tests.analysis.make_handoff import keys_file
from tests.cli.conftest import Densify, Server, read_webdataset


@pytest.fixture
def shop(densify: Densify, use_server: Server, shard_files: list[Path]) -> str:
    """A data set whose shards are accepted; made once, found again afterwards."""
    result = densify("upload", "kept", *shard_files, "--wait")
    assert result.exit_code == 0, result.stderr
    return "kept"


@pytest.fixture
def keys(densify: Densify, shop: str, tmp_path: Path) -> Path:
    """Six of its 17 captioned samples, as curate chose them from what was fetched."""
    fetched = densify("handoff", shop, "--out", tmp_path / "whole")
    assert fetched.exit_code == 0
    file = tmp_path / "keys.parquet"
    result = densify("curate", fetched.stdout.strip(), "--budget", 6, "--out", file)
    assert result.exit_code == 0, result.stderr
    return file


def chosen(keys: Path) -> set[str]:
    return {row["key"] for row in pq.read_table(keys).to_pylist()}


def test_what_was_curated_is_handed_off_and_proven(densify: Densify, shop: str, keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "chosen"
    result = densify("handoff", shop, "--keep", keys, "--out", out)
    assert result.exit_code == 0, result.stderr
    manifest = Path(result.stdout.strip())
    assert "3 shards: 18 samples in = 6 kept + 11 left out + 1 rejected" in result.stderr
    assert "warning: the tars hold the 11 samples that are left out too" in result.stderr
    for path in (manifest, out):
        proof = densify("verify", path)
        assert proof.exit_code == 0, proof.stdout
        assert "proven: 18 samples in = 6 kept + 11 left out + 1 rejected" in proof.stdout
    report = json.loads(densify("verify", manifest, "--json").stdout)
    assert sum(shard["kept"] for shard in report["shards"]) == 6
    claims = json.loads(manifest.read_bytes())["keep"]["claims"]
    assert (claims["budget"], claims["cap"], claims["samples"]) == (6, 10, 17)
    assert not any(str(tmp_path) in str(value) for value in claims.values())

    (keep,) = (out / "handoffs" / "keep").iterdir()
    data = bytearray(keep.read_bytes())
    data[len(data) // 2] ^= 1
    keep.write_bytes(data)
    changed = densify("verify", manifest)
    assert changed.exit_code == 1
    assert f"digest_mismatch: keep/{keep.name}" in changed.stdout
    assert densify("handoff", shop, "--keep", keys, "--out", out).exit_code == 0, "what was changed is fetched again"
    assert densify("verify", manifest).exit_code == 0


def test_repacked_tars_hold_what_was_chosen_and_measure_as_the_hand_off_says(
    densify: Densify, shop: str, keys: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tars"
    result = densify("handoff", shop, "--keep", keys, "--format", "repacked", "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    tars = sorted(out.iterdir())
    assert {file.suffix for file in tars} == {".tar"}
    samples = read_webdataset(tars)
    assert {sample["__key__"] for sample in samples} == chosen(keys)
    assert len(samples) == 6
    density = json.loads(densify("density", out, "--json").stdout)
    pinned = json.loads(result.stdout)["manifest"]["density"]
    assert Table.from_dict({name: density[name] for name in pinned}) == Table.from_dict(pinned)
    assert {file.name for file in tmp_path.iterdir()} - {"data"} == {"keys.parquet", "tars", "whole"}


@pytest.mark.parametrize("name", ["kohya", "everydream", "imagefolder", "pixart"])
def test_trainers_get_kept_samples_alone(densify: Densify, shop: str, keys: Path, tmp_path: Path, name: str) -> None:
    result = densify("handoff", shop, "--keep", keys, "--format", name, "--out", tmp_path / name)
    assert result.exit_code == 0, result.stderr
    assert len(list((tmp_path / name).rglob("*.jpg"))) == 6


def test_whole_and_chosen_in_one_folder_are_both_proven_and_summed_once(
    densify: Densify, shop: str, keys: Path, tmp_path: Path
) -> None:
    out = tmp_path / "whole"
    assert densify("handoff", shop, "--keep", keys, "--out", out).exit_code == 0
    proof = densify("verify", out)
    assert proof.exit_code == 0, proof.stdout
    assert len(list((out / "handoffs").glob("*.json"))) == 2
    assert "proven: 18 samples in = 17 captioned + 1 rejected" in proof.stdout


def test_keys_that_were_curated_from_the_tars_will_do(densify: Densify, shop: str, keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "tars.parquet"
    assert densify("curate", tmp_path / "whole" / "captioned", "--budget", 17, "--out", file).exit_code == 0
    result = densify("handoff", shop, "--keep", file)
    assert result.exit_code == 0, result.stderr
    assert "= 17 kept + 0 left out + 1 rejected" in result.stderr


def test_keys_by_the_names_of_the_uploaded_shards_will_do(densify: Densify, shop: str, tmp_path: Path) -> None:
    from scenes.dataset import samples as draw

    key = next(iter(draw(1, seed=1)))[0]
    (tmp_path / "mine.parquet").write_bytes(keys_file([("shop-000", key)]))
    result = densify("handoff", shop, "--keep", tmp_path / "mine.parquet")
    assert result.exit_code == 0, result.stderr
    assert "= 1 kept + 16 left out + 1 rejected" in result.stderr


def test_wrong_keys_are_one_sentence(densify: Densify, shop: str, tmp_path: Path) -> None:
    (tmp_path / "none.parquet").write_bytes(b"no parquet")
    (tmp_path / "others.parquet").write_bytes(keys_file([("captions.jsonl", "1")]))
    for file, says in (
        ("absent.parquet", "There is no file"),
        ("none.parquet", "The keys file cannot be read"),
        ("others.parquet", "'captions.jsonl' the first, cannot be handed off"),
    ):
        result = densify("handoff", shop, "--keep", tmp_path / file)
        assert result.exit_code == 2
        assert says in result.stderr.splitlines()[0]
        assert result.stdout == ""


def test_gates_that_what_is_kept_fails_are_told(
    densify: Densify, use_server: Server, shard_files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "gates.json").write_text('{"min_valid_share": 0.0, "valid_share_images": 18}')
    result = densify("upload", "small", shard_files[0], "--gates-file", tmp_path / "gates.json", "--wait")
    assert result.exit_code == 0, "a single shard is not asked"
    result = densify("handoff", "small", "--json")
    assert result.exit_code == 1, "made all the same, but a script that goes on from here must ask for it"
    assert json.loads(result.stdout)["manifest"]["gates"]["passed"] is False
    result = densify("handoff", "small")
    assert result.exit_code == 1
    assert result.stdout.startswith("handoffs/small-")
    assert "gate valid_share_images: The valid share is judged at 18 images; 6 are too few to judge." in result.stderr
