"""PUT of the keys of samples to keep: a file, because a choice may name more samples than a JSON body can hold.

What was sent is kept under its SHA-256, by which a hand-off asks for it (handoffs.py). It is read here, so that a file
that is none is refused at once; whether the data set has such samples is known when the hand-off is made.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from api.deps import PoolDep, ServiceDep
from api.openapi import problems
from api.receiving import Kind, Receiver
from api.schemas import KeepOut
from core.errors import DigestMismatchError, NotFoundError
from shards.keys import keys_key
from shards.names import check_dataset_name
from shards.store import Store
from workers.service import Service

router = APIRouter(tags=["hand-offs"])

#: Bytes of the largest keys file: some thirty million keys as `densify curate` writes them.
MAX_KEYS_BYTES = 256 << 20
KEYS = Kind(
    "A keys file", "the Parquet file", MAX_KEYS_BYTES, "Keep fewer samples, or name only the columns shard and key."
)

_BODY = {
    "requestBody": {
        "required": True,
        "description": "Parquet with the text columns `shard` and `key`, such as `densify curate --out` writes.",
        "content": {"application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}}},
    },
}
Sha256 = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, hexadecimal.")]


@router.put(
    "/datasets/{name}/keeps/{sha256}",
    status_code=HTTPStatus.CREATED,
    response_model=KeepOut,
    responses={
        200: {"model": KeepOut, "description": "It was there already."},
        **problems(400, 404, 408, 411, 413, 415, 503, 507),
    },
    openapi_extra=_BODY,
)
async def put_keep(
    name: str, sha256: Sha256, request: Request, response: Response, service: ServiceDep, pool: PoolDep
) -> KeepOut:
    """Sends the keys of the samples that a hand-off is to keep; `POST …/handoffs` then names them by this SHA-256."""
    receiver = Receiver(request, KEYS)
    check_dataset_name(name)
    receiver.check_headers()
    await run_in_threadpool(service.ledger.get_dataset, name)
    async with receiver.into(service.store.staging(), pool) as (path, actual, size):
        if actual != sha256:
            raise DigestMismatchError(
                f"The body has the SHA-256 {actual}, the path says {sha256}.", sha256=actual, announced=sha256
            )
        samples, created = await _in_pool(pool, partial(store_keys, service.store, path, sha256))
    response.status_code = HTTPStatus.CREATED if created else HTTPStatus.OK
    return KeepOut(sha256=sha256, size_bytes=size, samples=samples)


async def _in_pool(pool: ThreadPoolExecutor, work: partial[tuple[int, bool]]) -> tuple[int, bool]:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


def store_keys(store: Store, path: Path, sha256: str) -> tuple[int, bool]:
    """Moves a keys file into the store; returns how many keys it has and whether it is new. Raises BadFieldError."""
    from analysis.keys import read_keys

    count = read_keys(path).count
    created = not store.exists(keys_key(sha256))
    store.put_file(keys_key(sha256), path, replace=True)  # one that has decayed is mended by sending it again
    return count, created


def stored_keys(service: Service, sha256: str) -> bytes:
    """The keys file with this SHA-256. Raises NotFoundError where none was sent."""
    if not service.store.exists(keys_key(sha256)):
        raise NotFoundError(
            f"No keys with the SHA-256 {sha256} were sent.", hint="PUT them to …/keeps/{sha256} first.", keep=sha256
        )
    return service.store.read_bytes(keys_key(sha256))
