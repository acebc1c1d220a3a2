"""Reading by URL: only what the operator listed, never more than the cap, never longer than the deadline."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BodyTooLongError, FetchFailedError, NoSuchPathError, StorageFullError, UrlRefusedError
from core.settings import Settings
from shards.allow import check_url, shown
from shards.fetch import fetch_url

DATA = os.urandom(3_000_000)
SHA = hashlib.sha256(DATA).hexdigest()


# ---- the list -------------------------------------------------------------------------------------------------------

ALLOWED = ["file:///data/shards/", "s3://bucket/train", "https://Host.example:8443/a/", "https://plain.example/"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///data/shards/x.tar",
        "file://localhost/data/shards/deep/x.tar",
        "s3://bucket/train/x.tar",
        "https://host.example:8443/a/x.tar?signature=1",
        "https://HOST.example.:8443/a/x.tar",
        "https://plain.example:443/any/where.tar",
    ],
)
def test_what_lies_below_a_listed_prefix_is_allowed(url: str) -> None:
    assert check_url(url, ALLOWED).scheme == url.partition(":")[0]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file:///data/shards-secret/x.tar",
        "file:///data/shards/../secret.tar",
        "file:///data/shards/%2e%2e/secret.tar",
        "file:///data/shards/a\\..\\b",
        "file://other/data/shards/x.tar",
        "file:///data/shards/x.tar?a",
        "s3://bucket/training/x.tar",
        "s3://bucket2/train/x.tar",
        "s3:///train/x.tar",
        "https://host.example/a/x.tar",
        "https://host.example:8443/ab/x.tar",
        "https://host.example:8443/a/../b",
        "https://host.example:8443.evil.org/a/x.tar",
        "https://evil.org/https://host.example:8443/a/",
        "https://host.example:8443@evil.org/a/x.tar",
        "https://user:secret@host.example:8443/a/x.tar",
        "https://plain.example:99999999/x",
        "https://[::1/x",
        "http://plain.example/x.tar",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "pipe:cat /etc/passwd",
        "ftp://plain.example/x.tar",
        "/data/shards/x.tar",
        "https://plain.example/a b",
        "https://plain.example/a\nb",
        "",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        check_url(url, ALLOWED)
    assert "secret@" not in caught.value.sentence
    with pytest.raises(UrlRefusedError):
        fetch_url(url, Path("/nowhere/x"), Settings(ingest_allow=ALLOWED))


def test_by_default_nothing_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(UrlRefusedError):
        fetch_url(f"file://{tmp_path}/x.tar", tmp_path / "y", Settings(ingest_allow=[]))


@given(st.text(max_size=60) | st.text(max_size=30).map(lambda tail: f"https://plain.example/{tail}"))
def test_no_text_at_all_raises_anything_but_a_refusal(url: str) -> None:
    try:
        parts = check_url(url, ALLOWED)
    except UrlRefusedError:
        return
    assert parts.hostname == "plain.example"


def test_what_is_shown_of_a_url_has_no_secret() -> None:
    assert shown("https://u:p@host/x.tar?X-Amz-Signature=s#f") == "https://host/x.tar"
    assert "\x1b" not in shown("https://host/\x1b[31m")


# ---- file:// --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "listed"
    folder.mkdir()
    (folder / "good one.tar").write_bytes(DATA)
    (tmp_path / "outside.tar").write_bytes(b"secret")
    return folder


def test_a_file_is_copied_and_hashed(folder: Path, tmp_path: Path) -> None:
    settings = Settings(ingest_allow=[f"file://{folder}/"])
    target = tmp_path / "deep" / "target"
    assert fetch_url(f"file://{folder}/good%20one.tar", target, settings) == (SHA, len(DATA))
    assert target.read_bytes() == DATA


def test_a_link_that_leads_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "link.tar").symlink_to(tmp_path / "outside.tar")
    (folder / "inside.tar").symlink_to(folder / "good one.tar")
    (folder / "up").symlink_to(tmp_path)
    settings = Settings(ingest_allow=[f"file://{folder}/"])
    for name in ("link.tar", "up/outside.tar"):
        with pytest.raises(UrlRefusedError, match="symbolic link"):
            fetch_url(f"file://{folder}/{name}", tmp_path / "target", settings)
    assert fetch_url(f"file://{folder}/inside.tar", tmp_path / "target", settings) == (SHA, len(DATA))


def test_what_is_no_plain_file_is_refused_at_once(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.tar")
    settings = Settings(ingest_allow=[f"file://{folder}/"])
    for name in ("pipe.tar", ""):
        with pytest.raises(UrlRefusedError, match="no plain file"):
            fetch_url(f"file://{folder}/{name}", tmp_path / "target", settings)
    with pytest.raises(NoSuchPathError):
        fetch_url(f"file://{folder}/none.tar", tmp_path / "target", settings)
    assert not (tmp_path / "target").exists()


def test_the_cap_and_a_full_disk_leave_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"file://{folder}/good%20one.tar"
    with pytest.raises(BodyTooLongError):
        fetch_url(url, tmp_path / "t", Settings(ingest_allow=[f"file://{folder}/"], max_shard_bytes=len(DATA) - 1))
    assert not (tmp_path / "t").exists()
    settings = Settings(ingest_allow=[f"file://{folder}/"])
    with pytest.raises(StorageFullError):
        fetch_url(url, _full(tmp_path), settings)


def _full(tmp_path: Path) -> Path:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    return link


# ---- http -----------------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """A web server that misbehaves by path."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        getattr(self, self.path.partition("?")[0].strip("/").replace("/", "_"), self.missing)()

    def missing(self) -> None:
        self.send_error(404)

    def ok_good(self) -> None:
        self._start(200, {"Content-Length": str(len(DATA))})
        self.wfile.write(DATA)

    def ok_large(self) -> None:
        self._start(200, {"Content-Length": str(1 << 40)})

    def ok_endless(self) -> None:
        self._start(200, {})
        while True:
            self.wfile.write(DATA)

    def ok_short(self) -> None:
        self._start(200, {"Content-Length": str(len(DATA))})
        self.wfile.write(DATA[:1000])

    def ok_slow(self) -> None:
        self._start(200, {"Content-Length": "1000"})
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def ok_gone(self) -> None:
        self._start(302, {"Location": "/ok/good"})

    def ok_loop(self) -> None:
        self._start(302, {"Location": "/ok/loop"})

    def ok_away(self) -> None:
        self._start(302, {"Location": "/private/good"})

    def ok_file(self) -> None:
        self._start(302, {"Location": "file:///etc/passwd"})

    def ok_metadata(self) -> None:
        self._start(302, {"Location": "http://169.254.169.254/latest/"})

    def private_good(self) -> None:
        self.ok_good()

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        # The client hangs up on purpose.
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def settings(web: str, **more: Any) -> Settings:
    return Settings(ingest_allow=["file:///etc/", f"{web}/ok/"], **more)


def test_a_shard_is_read_over_http(web: str, tmp_path: Path) -> None:
    for path in ("good", "gone", "good?signature=x"):
        assert fetch_url(f"{web}/ok/{path}", tmp_path / "t", settings(web)) == (SHA, len(DATA))
        assert (tmp_path / "t").read_bytes() == DATA


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("missing", FetchFailedError),
        ("short", FetchFailedError),
        ("loop", FetchFailedError),
        ("large", BodyTooLongError),
        ("endless", BodyTooLongError),
        ("away", UrlRefusedError),
        ("file", UrlRefusedError),
        ("metadata", UrlRefusedError),
    ],
)
def test_a_server_that_misbehaves_is_named_and_leaves_nothing(
    web: str, tmp_path: Path, path: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        fetch_url(f"{web}/ok/{path}", tmp_path / "t", settings(web, max_shard_bytes=10_000_000))
    assert not (tmp_path / "t").exists()
    assert "/private/good" not in Handler.seen


def test_a_drip_of_bytes_ends_at_the_deadline(web: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(FetchFailedError, match="INGEST_TIMEOUT"):
        fetch_url(f"{web}/ok/slow", tmp_path / "t", settings(web, ingest_timeout_s=0.3))
    assert time.monotonic() - start < 3


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_says_nothing_ends_at_the_deadline(tmp_path: Path) -> None:
    with silent() as url:
        start = time.monotonic()
        with pytest.raises(FetchFailedError):
            fetch_url(f"{url}/ok/x", tmp_path / "t", settings(url, ingest_timeout_s=0.3))
        assert time.monotonic() - start < 3
    with pytest.raises(FetchFailedError):
        fetch_url(f"{url}/ok/x", tmp_path / "t", settings(url))
