"""Files of the store over HTTP, whole or a byte range: a captioned shard and its manifest."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO
from urllib.parse import quote

import anyio
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from api.deps import ServiceDep
from api.digests import digest_field
from api.openapi import problems
from core.errors import NotReadyError, RangeError, StorageError
from ledger.records import Shard
from shards.store import Store

router = APIRouter(tags=["shards"])

#: Bytes that one thread call reads and one send writes.
BLOCK_BYTES = 1 << 20

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_TAR = {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}}
_PATH = "/datasets/{name}/shards/{shard}/captioned.tar"


@router.head(_PATH, include_in_schema=False)
@router.get(
    _PATH,
    response_class=Response,
    responses={
        200: {"description": "The captioned shard.", **_TAR},
        206: {"description": "The bytes of one Range.", **_TAR},
        304: {"description": "If-None-Match names this edition."},
        **problems(404, 409, 416, 503),
    },
)
async def get_captioned(name: str, shard: str, request: Request, service: ServiceDep) -> Response:
    """The newest captioned shard. Takes one byte Range; ETag is its sha256, which changes with a correction."""
    found = await run_in_threadpool(service.ledger.get_shard, name, shard)
    key, sha256, size = captioned_tar(found)
    file = StoredFile(service.store, key, sha256, size, f"{shard}-captioned.tar", "application/x-tar")
    return await send_file(request, file)


@router.get(
    "/datasets/{name}/shards/{shard}/manifest",
    response_class=Response,
    responses={
        200: {
            "description": "The manifest, byte for byte.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **problems(404, 409, 503),
    },
)
def get_manifest(name: str, shard: str, service: ServiceDep) -> Response:
    """The captioned shard's manifest: counts, spec, model, hashes of all its files (docs/formats.md)."""
    key = manifest_key(service.ledger.get_shard(name, shard))
    return Response(service.store.read_bytes(key), media_type="application/json")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store whose hash and size are known, and how it is called when it is saved."""

    store: Store
    key: str
    sha256: str
    size_bytes: int
    filename: str
    media_type: str


async def send_file(request: Request, stored: StoredFile) -> Response:
    """The file, one byte range of it, or 304. Raises RangeError, NotStoredError, StorageError; all before it begins."""
    size, etag = stored.size_bytes, f'"{stored.sha256}"'
    headers = {
        "ETag": etag,
        "Repr-Digest": digest_field(stored.sha256),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
    }
    if _names_tag(request.headers.get("if-none-match"), etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    span = asked_range(request.headers, etag, size)
    start, stop = span if span is not None else (0, size)
    headers["Content-Length"] = str(stop - start)
    headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(stored.filename)}"
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=stored.media_type)
    file = await anyio.to_thread.run_sync(_open, stored)
    return StreamingResponse(_blocks(file, start, stop), status, headers, stored.media_type)


def manifest_key(shard: Shard) -> str:
    """Where the newest edition's manifest lies. Raises NotReadyError before there is one."""
    if shard.manifest_key is None:
        raise NotReadyError(f"Shard {shard.name} is {shard.state}: it has no captions yet.", state=shard.state)
    return shard.manifest_key


def captioned_tar(shard: Shard) -> tuple[str, str, int]:
    """(key, sha256, bytes) of the newest captioned tar. Raises NotReadyError before there is one."""
    key = manifest_key(shard).removesuffix(".json") + ".tar"
    assert shard.captioned_sha256 is not None
    assert shard.captioned_size_bytes is not None
    return key, shard.captioned_sha256, shard.captioned_size_bytes


def asked_range(headers: Headers, etag: str, size: int) -> tuple[int, int] | None:
    """[start, stop) of a single byte range, or None for the whole: without Range, with several, or with an If-Range of
    another edition. Raises RangeError when the range begins behind the end."""
    value = headers.get("range")
    if value is None or headers.get("if-range", etag) != etag:
        return None
    match = _RANGE.fullmatch(value.strip())
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise RangeError(f"The range begins at byte {start:,}, the file has {size:,}.", size_bytes=size)
    return start, stop


def _names_tag(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return etag in tags or "*" in tags


def _open(stored: StoredFile) -> IO[bytes]:
    """Opens the file and makes sure that it is as long as the answer's headers are about to say."""
    file = stored.store.open(stored.key)
    try:
        actual = file.seek(0, 2)
    except BaseException:
        file.close()
        raise
    if actual != stored.size_bytes:
        file.close()
        raise StorageError(
            f"{stored.key} has {actual:,} bytes in the store and should have {stored.size_bytes:,}.",
            hint="`densify verify` tells what changed.",
        )
    return file


async def _blocks(file: IO[bytes], start: int, stop: int) -> AsyncIterator[bytes]:
    try:
        await anyio.to_thread.run_sync(file.seek, start)
        while start < stop:
            block = await anyio.to_thread.run_sync(file.read, min(BLOCK_BYTES, stop - start))
            if not block:
                raise StorageError("A file became shorter while it was sent.")
            start += len(block)
            yield block
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(file.close)
