"""Uploading: several files, nothing twice, resumed by content, followed to the end."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from cli import upload
from cli.client import Client
from cli.console import Meter
from core.errors import BadFieldError, NoSuchPathError, NothingToReadError, ShuttingDownError, UnreachableError
from shards.keys import source_key
from tests.cli.conftest import Densify, Server


def test_shards_are_uploaded_and_followed_to_the_end(
    densify: Densify, use_server: Server, shard_files: list[Path]
) -> None:
    result = densify("upload", "whole", *shard_files, "--wait", "--json")
    assert result.exit_code == 0, result.stderr
    uploaded = json.loads(result.stdout)["shards"]
    assert [item["name"] for item in uploaded] == ["shop-000", "shop-001", "shop-002"]
    assert {item["outcome"] for item in uploaded} == {"uploaded"}
    assert "captioning whole: 17 captioned, 1 rejected" in result.stderr
    with Client(use_server.url) as client:
        progress = client.progress("whole")
    assert (progress["samples"], progress["captioned"], progress["rejected"]) == (18, 17, 1)


def test_what_is_there_is_not_sent_again_whatever_it_is_called(
    densify: Densify, use_server: Server, shard_files: list[Path], tmp_path: Path
) -> None:
    assert densify("upload", "twice", shard_files[0]).exit_code == 0
    other = tmp_path / "renamed.tar"
    shutil.copy(shard_files[0], other)
    result = densify("upload", "twice", shard_files[0], other, shard_files[1])
    assert result.exit_code == 0
    assert "shop-000: already there" in result.stderr
    assert "renamed: already there" in result.stderr
    assert "shop-001: uploaded" in result.stderr


def test_a_copy_that_decayed_is_mended_by_force(densify: Densify, use_server: Server, shard_files: list[Path]) -> None:
    assert densify("upload", "decay", shard_files[1], "--wait").exit_code == 0
    sha256 = hashlib.sha256(shard_files[1].read_bytes()).hexdigest()
    stored = use_server.data / source_key(sha256)
    whole = stored.read_bytes()
    stored.write_bytes(b"?" + whole[1:])
    assert densify("upload", "decay", shard_files[1]).exit_code == 0
    assert stored.read_bytes() != whole
    assert densify("upload", "decay", shard_files[1], "--force").exit_code == 0
    assert stored.read_bytes() == whole


def test_another_shard_of_the_same_name_is_kept_beside_it(
    densify: Densify, use_server: Server, shard_files: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / shard_files[0].name
    shutil.copy(shard_files[1], other)
    densify("upload", "names", shard_files[0])
    result = densify("upload", "names", other)
    assert "shop-000: uploaded as shop-000@" in result.stderr


def test_a_damaged_shard_is_told_and_the_others_go_through(
    densify: Densify, use_server: Server, shard_files: list[Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(shard_files[0].read_bytes()[:20_000])
    result = densify("upload", "damaged", cut, shard_files[1])
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert "hint: " in result.stderr
    with Client(use_server.url) as client:
        assert [shard["name"] for shard in client.shards("damaged")] == ["shop-001"]


def test_a_spec_that_differs_is_refused(
    densify: Densify, use_server: Server, shard_files: list[Path], small_model: Path
) -> None:
    assert densify("upload", "spec", shard_files[0], "--prompt", "What is this?", "--model", small_model).exit_code == 0
    assert densify("upload", "spec", shard_files[0], "--prompt", "What is this?", "--model", small_model).exit_code == 0
    result = densify("upload", "spec", shard_files[0], "--prompt", "Something else?", "--model", small_model)
    assert result.exit_code == 2
    assert "spec" in result.stderr


def test_gates_hold_and_release_lets_through(
    densify: Densify, use_server: Server, shard_files: list[Path], tmp_path: Path
) -> None:
    gates = tmp_path / "gates.json"
    gates.write_text('{"min_nouns_per_image": 1000}')
    result = densify("upload", "gated", shard_files[0], "--gates-file", gates, "--wait")
    assert result.exit_code == 1
    assert "shop-000 is held" in result.stderr
    shown = densify("status", "gated")
    assert "held" in shown.stdout
    assert "the gate asks for 1000" in shown.stdout
    assert densify("release", "gated", "shop-000").exit_code == 2, "a reason is wanted"
    released = densify("release", "gated", "shop-000", "--reason", "A test.", "--json")
    assert json.loads(released.stdout)["state"] == "accepted"
    assert "released: A test." in densify("status", "gated").stdout


def test_status_shows_data_sets_and_shards(densify: Densify, use_server: Server, shard_files: list[Path]) -> None:
    densify("upload", "shown", shard_files[2], "--wait")
    assert "accepted 1" in densify("status").stdout
    assert "6 of 6 samples: 5 captioned, 1 rejected" in densify("status", "shown", "--watch").stderr
    view = json.loads(densify("status", "shown", "--json").stdout)
    assert view["progress"]["unfinished_shards"] == 0
    assert [shard["name"] for shard in view["shards"]] == ["shop-002"]
    unknown = densify("status", "nosuch")
    assert (unknown.exit_code, unknown.stderr.startswith("error: ")) == (2, True)


def test_urls_outside_the_allow_list_are_refused(densify: Densify, use_server: Server) -> None:
    result = densify("upload", "urls", "s3://bucket/train-{000..003}.tar")
    assert result.exit_code == 2
    assert "DENSIFY_INGEST_ALLOW" in result.stderr


def test_arguments_are_files_folders_patterns_and_urls(tmp_path: Path) -> None:
    for name in ("a-0.tar", "a-1.tar", "a-2.tar"):
        (tmp_path / name).touch()
    files, urls = upload.sort_arguments([f"{tmp_path}/a-{{0..1}}.tar", str(tmp_path), "s3://b/x-{08..10}.tar"])
    assert [file.name for file in files] == ["a-0.tar", "a-1.tar", "a-0.tar", "a-1.tar", "a-2.tar"]
    assert urls == ["s3://b/x-08.tar", "s3://b/x-09.tar", "s3://b/x-10.tar"]
    with pytest.raises(NoSuchPathError):
        upload.sort_arguments([str(tmp_path / "b.tar")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToReadError):
        upload.sort_arguments([str(tmp_path / "empty")])


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_spec_file_that_is_no_object_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spec.json"
    file.write_text(text)
    with pytest.raises(BadFieldError):
        upload.read_object(file)
    with pytest.raises(NoSuchPathError):
        upload.read_object(tmp_path / "absent.json")


def test_options_change_single_fields_of_the_spec(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text('{"model": "a", "strip_opening": true}')
    assert upload.read_spec(file, None, "b") == {"model": "b", "strip_opening": True}
    assert upload.read_spec(None, "p", None) == {"prompt": "p"}
    assert upload.read_spec(None, None, None) is None


class Flaky:
    """A client whose first uploads break."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0

    def put_shard(self, _dataset: str, name: str, *_: object) -> tuple[dict[str, Any], bool]:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return {"name": name, "sha256": "0"}, True


def test_a_broken_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(upload, "RETRY_WAITS_S", (0.0, 0.0))
    shard = upload.LocalShard(tmp_path / "a.tar", "0", 1)
    client = Flaky(UnreachableError("Gone."), ShuttingDownError("Stopping."))
    with Meter("bytes") as meter:
        assert upload.send_one(client, "shop", shard, meter)["outcome"] == "uploaded"  # type: ignore[arg-type]
    assert client.tries == 3
    client = Flaky(*[UnreachableError("Gone.") for _ in range(3)])
    with Meter("bytes") as meter, pytest.raises(UnreachableError):
        upload.send_one(client, "shop", shard, meter)  # type: ignore[arg-type]


def test_ctrl_c_ends_uploads_that_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    event = threading.Event()
    monkeypatch.setattr(upload, "_interrupted", event)
    sent: list[int] = []
    advance = upload.stoppable(sent.append)
    advance(1)
    event.set()
    with pytest.raises(KeyboardInterrupt):
        advance(1)
    assert sent == [1]


def test_several_run_at_once_and_the_first_error_is_raised_last() -> None:
    done = []

    def work(item: int) -> int:
        if item == 1:
            raise ValueError("one")
        done.append(item)
        return item

    with pytest.raises(ValueError, match="one"):
        upload.in_parallel(work, [0, 1, 2, 3], jobs=2)
    assert sorted(done) == [0, 2, 3]
    assert upload.in_parallel(lambda item: item * 2, [1, 2, 3], jobs=8) == [2, 4, 6]
