"""Reading a shard by URL into a local file: allow-list, byte cap, one deadline for the whole, SHA-256 on the way.

file://, s3:// (fsspec, the extra `s3`) and https:// (http:// where the operator lists it). Redirects are checked
against the list again and stay on HTTP. Leaves out: what the bytes are (shards/ingest.py). Serves the workers.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urljoin

import fsspec
import httpx

from core.errors import (
    BodyTooLongError,
    DensifyError,
    FetchFailedError,
    MissingPackageError,
    NoSuchPathError,
    UrlRefusedError,
)
from core.files import storage_errors
from core.settings import Settings
from shards.allow import check_url, shown

_CHUNK_BYTES = 1 << 20
_REDIRECTS = 5
_SILENCE_S = 30.0


def fetch_url(url: str, target: Path, settings: Settings) -> tuple[str, int]:
    """Writes what the URL gives to `target`; returns its SHA-256 (hexadecimal) and size in bytes. Call it in a thread.

    Raises UrlRefusedError, NoSuchPathError, BodyTooLongError (DENSIFY_MAX_SHARD_BYTES), FetchFailedError (also after
    DENSIFY_INGEST_TIMEOUT_S), MissingPackageError or StorageFullError; `target` is then gone.
    """
    parts = check_url(url, settings.ingest_allow)
    with _Sink(url, target, settings) as sink:
        if parts.scheme == "file":
            _from_file(url, parts, settings, sink)
        elif parts.scheme == "s3":
            _from_s3(url, sink)
        else:
            asyncio.run(_from_http(url, settings, sink))
        return sink.sha.hexdigest(), sink.size


class _Sink:
    """The file being written, its hash, and both caps."""

    def __init__(self, url: str, target: Path, settings: Settings) -> None:
        self.shown = shown(url)
        self.sha = hashlib.sha256()
        self.size = 0
        self._target = target
        self._max_bytes = settings.max_shard_bytes
        self._timeout_s = settings.ingest_timeout_s
        self._end = time.monotonic() + settings.ingest_timeout_s
        self._file: IO[bytes]

    def expect(self, size: int) -> None:
        if size > self._max_bytes:
            raise BodyTooLongError(f"{self.shown} has {size} bytes, over the limit of {self._max_bytes}.")

    def write(self, chunk: bytes) -> None:
        self.expect(self.size + len(chunk))
        if time.monotonic() > self._end:
            raise self.late()
        with storage_errors(str(self._target)):
            self._file.write(chunk)
        self.sha.update(chunk)
        self.size += len(chunk)

    def late(self) -> FetchFailedError:
        return FetchFailedError(f"{self.shown} took longer than {self._timeout_s:g} s (DENSIFY_INGEST_TIMEOUT_S).")

    def __enter__(self) -> _Sink:
        with storage_errors(str(self._target)):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._target.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            with storage_errors(str(self._target)), closing(self._file):
                pass
        except BaseException:
            self._target.unlink(missing_ok=True)
            raise
        if kind is not None:
            self._target.unlink(missing_ok=True)


# ---- file -----------------------------------------------------------------------------------------------------------


def _from_file(url: str, parts: SplitResult, settings: Settings, sink: _Sink) -> None:
    path = Path(unquote(parts.path))
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise NoSuchPathError(f"{shown(url)} does not exist on the server.") from error
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise FetchFailedError(f"{shown(url)} could not be opened: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UrlRefusedError(f"{shown(url)} is no plain file.")
    with os.fdopen(handle, "rb", buffering=0) as file:
        opened = Path(f"/proc/self/fd/{handle}")
        # A folder on the way may have become a link since it was resolved: what counts is the file that is open.
        _check_real(url, opened.resolve() if opened.exists() else real, settings)
        sink.expect(os.fstat(handle).st_size)
        for chunk in _chunks(file):
            sink.write(chunk)


def _check_real(url: str, real: Path, settings: Settings) -> None:
    for prefix in settings.ingest_allow:
        if prefix.startswith("file://"):
            folder = Path(unquote(prefix.removeprefix("file://").removeprefix("localhost"))).resolve()
            if real.is_relative_to(folder):
                return
    raise UrlRefusedError(f"{shown(url)} leads out of the allowed folders by a symbolic link.")


def _chunks(file: Any) -> Iterator[bytes]:
    try:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
    except OSError as error:
        raise FetchFailedError(f"Reading broke off: {error}.") from error


# ---- s3 -------------------------------------------------------------------------------------------------------------


def _from_s3(url: str, sink: _Sink) -> None:
    try:
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingPackageError(
            "s3:// URLs need a package that is not installed.", hint="pip install 'densify[s3]'"
        ) from error
    try:
        with fs.open(path, "rb", block_size=8 * _CHUNK_BYTES, cache_type="readahead") as file:
            sink.expect(int(file.size))
            for chunk in _chunks(file):
                sink.write(chunk)
    except FileNotFoundError as error:
        raise NoSuchPathError(f"{sink.shown} does not exist.") from error
    except DensifyError:
        raise
    except Exception as error:
        # The S3 client has exceptions of its own beside OSError.
        raise FetchFailedError(f"{sink.shown} could not be read: {error}.") from error


# ---- https ----------------------------------------------------------------------------------------------------------


async def _from_http(url: str, settings: Settings, sink: _Sink) -> None:
    # Asynchronous for one reason: the deadline then holds for everything, name lookup and dripping headers included.
    try:
        async with asyncio.timeout(settings.ingest_timeout_s):
            async with httpx.AsyncClient(timeout=_SILENCE_S, headers={"Accept-Encoding": "identity"}) as client:
                await _follow(client, url, settings, sink)
    except TimeoutError as error:
        raise sink.late() from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailedError(f"{sink.shown} could not be read: {type(error).__name__}.") from error


async def _follow(client: httpx.AsyncClient, url: str, settings: Settings, sink: _Sink) -> None:
    for _ in range(_REDIRECTS + 1):
        async with client.stream("GET", url, follow_redirects=False) as response:
            if response.has_redirect_location:
                url = urljoin(url, response.headers.get("location", ""))
                if check_url(url, settings.ingest_allow).scheme not in ("https", "http"):
                    raise UrlRefusedError(f"{sink.shown} is redirected to {shown(url)}.")
                continue
            if response.status_code != 200:
                raise FetchFailedError(f"{sink.shown} answers with status {response.status_code}.")
            length = response.headers.get("content-length", "")
            sink.expect(int(length) if length.isdigit() else 0)
            async for chunk in response.aiter_raw(_CHUNK_BYTES):
                sink.write(chunk)
            return
    raise FetchFailedError(f"{sink.shown} is redirected more than {_REDIRECTS} times.")
