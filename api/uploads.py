"""PUT of a shard: the body goes to the disk as it comes, is proven to be a whole tar, stored and put into the ledger.

What is checked, in this order: names and headers (before a byte is read) · length while reading · digest · the tar
itself. Only then does the ledger hear of it; after the answer 201 the work waits there, whether or not Redis is up.
"""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from api.bodies import BodyReader
from api.deps import PoolDep, ServiceDep
from api.digests import announced_sha256
from api.metrics import Metrics, get_metrics
from api.openapi import problems
from api.parts import PartFile
from api.schemas import ShardOut
from api.shards import shard_out
from core.errors import (
    BodyTooLongError,
    BodyTooShortError,
    DensifyError,
    DigestMismatchError,
    InputError,
    LengthRequiredError,
    StorageFullError,
    UnsupportedMediaError,
)
from ledger.records import Shard
from shards.ingest import store_shard
from shards.names import check_dataset_name, check_shard_name
from shards.tar import TarLimits
from workers.service import Service

router = APIRouter(tags=["shards"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": "The tar itself, uncompressed.",
        "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
    },
    "parameters": [
        {
            "name": "Repr-Digest",
            "in": "header",
            "required": False,
            "description": "RFC 9530: `sha-256=:<base64>:`. The upload is refused when the bytes differ.",
            "schema": {"type": "string"},
            "example": "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:",
        }
    ],
}


@router.put(
    "/datasets/{name}/shards/{shard:path}.tar",
    status_code=HTTPStatus.CREATED,
    response_model=ShardOut,
    responses={
        200: {"model": ShardOut, "description": "These bytes were there already: the shard that holds them."},
        **problems(400, 404, 408, 411, 413, 415, 422, 503, 507),
    },
    openapi_extra=_BODY,
)
async def put_shard(
    name: str,
    shard: str,
    request: Request,
    response: Response,
    service: ServiceDep,
    pool: PoolDep,
    metrics: Annotated[Metrics, Depends(get_metrics)],
) -> ShardOut:
    """Uploads a shard. Another shard of the same name stays: the newcomer is named `name@<first 8 of its sha256>`."""
    upload = Upload(service, pool, request)
    try:
        stored, created = await upload.run(name, shard)
    except DensifyError as error:
        metrics.upload(error.code, upload.received)
        raise
    metrics.upload("created" if created else "existing", upload.received)
    response.status_code = HTTPStatus.CREATED if created else HTTPStatus.OK
    response.headers["Location"] = f"/v1/datasets/{quote(name)}/shards/{quote(stored.name)}"
    return shard_out(stored)


class Upload:
    """One PUT. `received`: bytes of its body so far."""

    def __init__(self, service: Service, pool: ThreadPoolExecutor, request: Request) -> None:
        self._service = service
        self._pool = pool
        settings = service.settings
        self._limit = settings.max_shard_bytes
        self._headers = request.headers
        self._reader = BodyReader(request.receive, settings.upload_stall_s, request.app.state.stopping)

    @property
    def received(self) -> int:
        return self._reader.received

    async def run(self, dataset: str, name: str) -> tuple[Shard, bool]:
        """The stored shard, and whether it is new. Raises the InputError tree, StorageError, LedgerError."""
        check_dataset_name(dataset)
        check_shard_name(name)
        check_media(self._headers)
        digest = announced_sha256(self._headers)
        declared = declared_length(self._headers, self._limit)
        await run_in_threadpool(self._service.ledger.get_dataset, dataset)
        folder = self._service.store.staging()
        check_room(folder, declared)
        async with PartFile(folder, self._pool) as part:
            await self._receive(part, declared)
            sha256, size = await part.finish()
            if digest is not None and digest != sha256:
                raise DigestMismatchError(
                    f"The body has the SHA-256 {sha256}, announced was {digest}.", sha256=sha256, announced=digest
                )
            keep = partial(keep_shard, self._service, dataset, name, part.path, sha256, size)
            return await asyncio.get_running_loop().run_in_executor(self._pool, keep)

    async def _receive(self, part: PartFile, declared: int | None) -> None:
        most = self._limit if declared is None else declared
        try:
            while piece := await self._reader.read():
                if self.received > most:
                    raise _too_long(declared, self._limit)
                await part.write(piece)
        except BodyTooShortError as error:
            raise _too_short(self.received, declared) from error
        if declared is not None and self.received < declared:
            raise _too_short(self.received, declared)


def keep_shard(service: Service, dataset: str, name: str, path: Path, sha256: str, size: int) -> tuple[Shard, bool]:
    """Takes a local tar into the store and the ledger; returns the shard and whether it is new to the data set.

    The order matters: bytes first, then the ledger's row. A crash between the two leaves bytes that nobody asks for,
    never a row without bytes. Raises the ShardError tree, StorageError, LedgerError.
    """
    stored = store_shard(service.store, path, sha256, size, TarLimits.from_settings(service.settings))
    shard, created = service.ledger.add_shard(
        dataset, name, sha256, size, stored.units, stored.rejects, service.settings.chunk_samples
    )
    service.wake()
    return shard, created


def check_media(headers: Headers) -> None:
    """Raises UnsupportedMediaError for forms and compressed bodies, InputError for a part of a file."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise UnsupportedMediaError(f"A shard cannot come as {kind}: a form that is cut short looks complete.")
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedMediaError(
            f"A shard cannot come with the content coding {coding[:40]}.", hint="Send the tar as it is."
        )
    if "content-range" in headers:
        raise InputError("A PUT takes the whole shard, not a range of it.", hint="Leave out Content-Range.")


def declared_length(headers: Headers, limit: int) -> int | None:
    """Content-Length in bytes, or None for a chunked body. Raises LengthRequiredError, BodyTooLongError, InputError."""
    text = headers.get("content-length")
    if text is None:
        if "transfer-encoding" not in headers:
            raise LengthRequiredError("The request has neither a Content-Length nor a chunked body.")
        return None
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"Content-Length is no number: {text[:40]!r}.")
    length = int(text)
    if length > limit:
        raise _too_long(length, limit)
    return length


def check_room(folder: Path, declared: int | None) -> None:
    """Raises StorageFullError when the announced bytes cannot fit on the disk."""
    free = shutil.disk_usage(folder).free
    if declared is not None and declared > free:
        raise StorageFullError(f"The upload has {declared:,} bytes, the disk has room for {free:,}.")


def _too_long(declared: int | None, limit: int) -> BodyTooLongError:
    if declared is not None and declared <= limit:
        return BodyTooLongError(
            f"More than the announced {declared:,} bytes arrived.",
            hint="Send the length of the body in Content-Length.",
            declared_bytes=declared,
        )
    return BodyTooLongError(f"A shard may have {limit:,} bytes.", limit_bytes=limit)


def _too_short(received: int, declared: int | None) -> BodyTooShortError:
    of = "" if declared is None else f" of {declared:,}"
    return BodyTooShortError(f"Only {received:,}{of} bytes arrived.", received=received)
