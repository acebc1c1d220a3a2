"""The same store on an S3 server, moto's, on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import NoSuchPathError, NotStoredError, UrlRefusedError
from core.settings import Settings
from shards.fetch import fetch_url
from shards.index import read_members
from shards.ingest import load_index, store_shard
from shards.keys import source_key
from shards.store import open_store
from tests.shards.make_shards import LIMITS, samples, small_shard

moto_server = pytest.importorskip("moto.server", reason="moto is not installed: it comes with the extra `dev`")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: it comes with the extra `s3`")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("shelf")
    yield "s3://shelf"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning")
def test_a_shard_lives_on_s3_as_it_does_in_a_folder(bucket: str, tmp_path: Path) -> None:
    store = open_store(f"{bucket}/densify")
    path = small_shard(tmp_path / "a.tar")
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()

    stored = store_shard(store, path, sha256, len(data), LIMITS)
    assert (stored.units, stored.existed, path.exists()) == (4, False, False)
    assert store.sha256(source_key(sha256)) == sha256
    assert store_shard(store, small_shard(path), sha256, len(data), LIMITS).existed

    index = load_index(store, sha256)
    key = source_key(sha256)
    read = read_members(lambda offset, size: store.read_range(key, offset, size), index.slice(2, 4))
    assert [held["image"] for _, held in read] == [held["jpg"] for _, held in list(samples(4))[2:]]
    assert list(store.list("shards")) == sorted(source_key(sha256, end) for end in (".tar", ".json", ".index.parquet"))

    assert store.put_new("k/x", b"first") == b"first"
    assert store.put_new("k/x", b"second") == b"first"
    with pytest.raises(NotStoredError):
        store.read_bytes("k/none")
    store.delete("k/x")
    assert not store.exists("k/x")

    url = f"{bucket}/densify/{key}"
    settings = Settings(ingest_allow=[f"{bucket}/densify/shards/"])
    assert fetch_url(url, tmp_path / "b.tar", settings) == (sha256, len(data))
    assert (tmp_path / "b.tar").read_bytes() == data
    with pytest.raises(NoSuchPathError):
        fetch_url(f"{bucket}/densify/shards/none.tar", tmp_path / "c.tar", settings)
    with pytest.raises(UrlRefusedError):
        fetch_url(f"{bucket}/other/{key}", tmp_path / "c.tar", settings)
    assert not (tmp_path / "c.tar").exists()
