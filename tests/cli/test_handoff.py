"""`densify handoff`: fetched with every hash checked, proven, refused after one changed byte, written for trainers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from cli.handoff import checked_manifest, fetch_handoff, files_of
from core.errors import CheckFailedError, DigestMismatchError
from tests.cli.conftest import Densify, Server, read_webdataset


@pytest.fixture
def shop(densify: Densify, use_server: Server, shard_files: list[Path]) -> str:
    """A data set whose shards are accepted; made once, found again afterwards."""
    result = densify("upload", "handed", *shard_files, "--wait")
    assert result.exit_code == 0, result.stderr
    return "handed"


def test_a_hand_off_is_fetched_and_proven(densify: Densify, shop: str, tmp_path: Path, shard_files: list[Path]) -> None:
    out = tmp_path / "out"
    result = densify("handoff", shop, "--out", out)
    assert result.exit_code == 0, result.stderr
    manifest = Path(result.stdout.strip())
    assert manifest.parent == out / "handoffs"
    assert "3 shards: 18 samples in = 17 captioned + 1 rejected" in result.stderr
    for path in (manifest, out):
        proof = densify("verify", path)
        assert proof.exit_code == 0, proof.stdout
        assert "proven: 18 samples in = 17 captioned + 1 rejected" in proof.stdout

    tars = sorted(out.rglob("*.tar"))
    read = {sample["__key__"]: sample for sample in read_webdataset(tars)}
    for source in read_webdataset(shard_files):
        if source["__key__"] in read:
            assert read[source["__key__"]]["jpg"] == source["jpg"]
            assert json.loads(read[source["__key__"]]["json"])["scene"] == json.loads(source["json"])["scene"]
    assert len(read) == 17

    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.tar")}
    assert densify("handoff", shop, "--out", out).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.tar")} == before, "nothing is fetched twice"

    data = bytearray(tars[0].read_bytes())
    data[1500] ^= 1
    tars[0].write_bytes(data)
    changed = densify("verify", manifest)
    assert changed.exit_code == 1
    assert "NOT proven" in changed.stdout
    assert densify("handoff", shop, "--out", out).exit_code == 0, "what was changed is fetched again"
    assert densify("verify", manifest).exit_code == 0


def test_without_out_the_manifest_is_named(
    densify: Densify, shop: str, use_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = densify("handoff", shop)
    assert elsewhere.stdout.startswith("handoffs/handed-")
    assert "--out DIR fetches it" in elsewhere.stderr
    monkeypatch.setenv("DENSIFY_DATA", str(use_server.data))
    here = densify("handoff", shop, "--json")
    answer = json.loads(here.stdout)
    assert Path(answer["path"]) == use_server.data / answer["key"]
    assert densify("verify", answer["path"]).exit_code == 0
    whole = densify("verify", use_server.data)
    assert whole.exit_code == 0, whole.stdout


@pytest.mark.parametrize("name", ["kohya", "everydream", "imagefolder", "pixart"])
def test_it_is_written_for_other_trainers(densify: Densify, shop: str, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    result = densify("handoff", shop, "--format", name, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert len(list(out.rglob("*.jpg"))) == 17
    assert sorted(file.name for file in tmp_path.iterdir() if file.name != "data") == [name]
    again = densify("handoff", shop, "--format", name, "--out", out)
    assert again.exit_code == 2, "an export goes into a new folder"


def test_a_format_needs_a_folder(densify: Densify, shop: str) -> None:
    assert densify("handoff", shop, "--format", "kohya").exit_code == 2


def test_nothing_accepted_is_nothing_to_hand_off(densify: Densify, use_server: Server) -> None:
    with Client(use_server.url) as client:
        client.create_dataset("empty")
    result = densify("handoff", "empty")
    assert result.exit_code == 2
    assert "no accepted shard" in result.stderr


def made(client: Client, dataset: str) -> dict[str, Any]:
    return client.hand_off(dataset)


def test_a_manifest_that_is_not_its_own_is_refused(shop: str, use_server: Server) -> None:
    with Client(use_server.url) as client:
        answer = made(client, shop)
    answer["manifest"]["totals"]["captioned"] += 1
    with pytest.raises(CheckFailedError):
        checked_manifest(answer)


def test_paths_that_lead_out_of_the_store_are_refused(shop: str, use_server: Server) -> None:
    with Client(use_server.url) as client:
        manifest = checked_manifest(made(client, shop))
    shard = manifest.shards[0].model_copy(update={"path": "../../../etc/passwd"})
    evil = manifest.model_copy(update={"shards": [shard]})
    with pytest.raises(CheckFailedError):
        files_of(evil, "handoffs", shard.name)


def test_other_bytes_than_the_manifests_are_not_kept(shop: str, use_server: Server, tmp_path: Path) -> None:
    with Client(use_server.url) as client:
        answer = made(client, shop)
        manifest = checked_manifest(answer)
        file = files_of(manifest, "handoffs", manifest.shards[0].name)[0]
        target = tmp_path / "a.tar"
        with pytest.raises(DigestMismatchError):
            client.handoff_file(shop, answer["digest"], file.key, target, lambda _: None, "0" * 64)
        assert not target.exists()
        assert fetch_handoff(client, shop, answer, tmp_path / "out").is_file()


def test_nothing_but_the_hand_offs_files_is_served(shop: str, use_server: Server, tmp_path: Path) -> None:
    from core.errors import NotFoundError

    with Client(use_server.url) as client:
        digest = made(client, shop)["digest"]
        for key in ("ledger.sqlite", "../ledger.sqlite", "handoffs/../ledger.sqlite", "/etc/passwd"):
            with pytest.raises(NotFoundError):
                client.handoff_file(shop, digest, key, tmp_path / "x", lambda _: None)
