"""The store: whole files under keys, locally and on any fsspec file system."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadNameError, NotStoredError, StorageError, StorageFullError
from shards.keys import keep_key, keys_key
from shards.store import Store, captioned_key, chunk_folder, chunk_key, handoff_key, open_store, source_key

SHA = "0123456789abcdef" * 4


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "data") if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def local(store: Store, data: bytes) -> Path:
    path = store.staging() / uuid.uuid4().hex
    path.write_bytes(data)
    return path


def test_what_is_put_is_there(store: Store) -> None:
    store.put_bytes("a/b/c.bin", b"0123456789")
    assert store.exists("a/b/c.bin")
    assert store.read_bytes("a/b/c.bin") == b"0123456789"
    assert store.size("a/b/c.bin") == 10
    assert store.sha256("a/b/c.bin") == hashlib.sha256(b"0123456789").hexdigest()
    store.put_bytes("a/b/c.bin", b"new")
    assert store.read_bytes("a/b/c.bin") == b"new"


def test_ranges_end_where_the_file_ends(store: Store) -> None:
    store.put_bytes("x", b"0123456789")
    assert store.read_range("x", 2, 3) == b"234"
    assert store.read_range("x", 8, 50) == b"89"
    assert store.read_range("x", 4, 0) == b""


def test_files_open_for_seeking(store: Store) -> None:
    store.put_bytes("x", b"0123456789")
    with store.open("x") as file:
        file.seek(7)
        assert file.read() == b"789"


def test_what_is_not_there_is_not_stored(store: Store) -> None:
    assert not store.exists("no/such")
    for call in (store.read_bytes, store.size, store.sha256, store.open, lambda key: store.read_range(key, 0, 1)):
        with pytest.raises(NotStoredError, match="no/such"):
            call("no/such")
    store.delete("no/such")


def test_put_new_keeps_what_is_there(store: Store) -> None:
    assert store.put_new("k/x", b"first") == b"first"
    assert store.put_new("k/x", b"second") == b"first"
    assert store.read_bytes("k/x") == b"first"


def test_put_file_moves_and_keeps_an_equal_one(store: Store) -> None:
    path = local(store, b"data")
    store.put_file("k/x.tar", path)
    assert not path.exists()
    assert store.read_bytes("k/x.tar") == b"data"
    again = local(store, b"DATA")
    store.put_file("k/x.tar", again)
    assert not again.exists()
    assert store.read_bytes("k/x.tar") == b"data"
    store.put_file("k/x.tar", local(store, b"DATA"), replace=True)
    assert store.read_bytes("k/x.tar") == b"DATA"


def test_put_file_mends_a_copy_of_the_wrong_size(store: Store) -> None:
    store.put_bytes("k/x.tar", b"cut")
    store.put_file("k/x.tar", local(store, b"whole"))
    assert store.read_bytes("k/x.tar") == b"whole"


def test_listing_shows_finished_files_below_a_folder(store: Store) -> None:
    for key in ("b/2", "b/1", "b/deep/3", "bb/4", "a"):
        store.put_bytes(key, b"")
    local(store, b"unfinished")
    assert list(store.list("b")) == ["b/1", "b/2", "b/deep/3"]
    assert list(store.list("b/")) == ["b/1", "b/2", "b/deep/3"]
    assert list(store.list()) == ["a", "b/1", "b/2", "b/deep/3", "bb/4"]
    assert list(store.list("none")) == []
    store.delete("b/1")
    assert list(store.list("b")) == ["b/2", "b/deep/3"]


@pytest.mark.parametrize("key", ["../x", "a/../x", "/etc/passwd", "", "a//b", "a\0", "./a", "a\\b"])
def test_no_key_leads_out_of_the_store(store: Store, key: str) -> None:
    for call in (store.exists, store.read_bytes, lambda key: store.put_bytes(key, b"x")):
        with pytest.raises(BadNameError):
            call(key)


def test_only_a_local_store_has_paths(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"file://{tmp_path}"):
        assert open_store(url).path("a/b") == tmp_path / "a" / "b"
    assert open_store("memory://x").path("a/b") is None
    assert open_store("memory://x").url("a/b") == "memory://x/a/b"


def test_staging_is_on_the_stores_own_file_system(tmp_path: Path) -> None:
    assert open_store(str(tmp_path)).staging() == tmp_path / "tmp"
    remote = open_store("memory://staging")
    folder = remote.staging()
    assert folder.is_dir()
    assert remote.staging() == folder
    del remote
    assert not folder.exists()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.put_bytes("k/x", b"old")

    def full(*_: object) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = local(store, b"new one")
    monkeypatch.setattr(os, "fsync", full)
    for call in (store.put_bytes, store.put_new):
        with pytest.raises(StorageFullError):
            call("k/x" if call == store.put_bytes else "k/y", b"new")
    with pytest.raises(StorageFullError):
        store.put_file("k/x", path)
    monkeypatch.undo()
    assert store.read_bytes("k/x") == b"old"
    assert list(store.list()) == ["k/x"]
    assert [file.name for file in (tmp_path / "k").iterdir()] == ["x"]
    assert path.exists()


def test_a_write_that_fails_at_any_call_leaves_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    real = {name: getattr(os, name) for name in ("fsync", "open", "replace")}
    for fail_at in range(1, 10):
        store.put_bytes("x", b"old")
        calls = 0

        def counted(name: str, *arguments: Any, limit: int = fail_at, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == limit:
                raise OSError(errno.EIO, "broken")
            return real[name](*arguments, **named)

        for name in real:
            monkeypatch.setattr(os, name, lambda *a, _name=name, **k: counted(_name, *a, **k))
        try:
            store.put_bytes("x", b"new")
            done = True
        except StorageError:
            done = False
        monkeypatch.undo()
        assert store.read_bytes("x") in ((b"new",) if done else (b"old", b"new"))
        assert [file.name for file in tmp_path.iterdir()] == ["x"]
        if done:
            break
    assert done


def test_of_many_who_put_new_at_once_one_wins_and_all_see_it(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=lambda number=number: seen.append(store.put_new("k/x", b"%d" % number)))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 12
    assert set(seen) == {store.read_bytes("k/x")}
    assert [file.name for file in (tmp_path / "k").iterdir()] == ["x"]


def test_a_store_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        open_store(str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match="no store"):
        open_store("nosuchprotocol://x")


def test_keys_are_laid_out_as_documented() -> None:
    assert source_key(SHA) == f"shards/01/{SHA}.tar"
    assert source_key(SHA, ".index.parquet") == f"shards/01/{SHA}.index.parquet"
    folder = chunk_folder(SHA, "f" * 16, "e" * 16)
    assert folder == f"chunks/01/{SHA}/{'f' * 16}-{'e' * 16}"
    assert chunk_key(SHA, "f" * 16, "e" * 16, 0, 512) == f"{folder}/00000000-00000512.parquet"
    edition = "e" * 16
    stem = f"captioned/01/{SHA}/{edition}/{SHA[:16]}-{edition}"
    assert captioned_key(SHA, edition, ".nouns.parquet") == f"{stem}.nouns.parquet"
    assert handoff_key("set", "d" * 64) == f"handoffs/set-{'d' * 16}.json"
    assert keep_key(SHA) == f"handoffs/keep/{SHA}.parquet"
    assert keys_key(SHA) == f"keys/{SHA[:2]}/{SHA}.parquet"


def test_a_file_system_without_hard_links_publishes_once_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = open_store(str(tmp_path))
    assert store.put_new("chunks/a", b"first") == b"first"
    assert store.put_new("chunks/a", b"second") == b"first"
    assert list(store.list()) == ["chunks/a"]
