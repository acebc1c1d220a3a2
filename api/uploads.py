"""PUT of a shard: the body goes to the disk as it comes, is proven to be a whole tar, stored and put into the ledger.

What is checked, in this order: names and headers (before a byte is read) · length and digest (receiving.py) · the tar
itself. Only then does the ledger hear of it; after the answer 201 the work waits there, whether or not Redis is up.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from api.deps import PoolDep, ServiceDep
from api.metrics import Metrics, get_metrics
from api.openapi import problems
from api.receiving import Kind, Receiver
from api.schemas import ShardOut
from api.shards import shard_out
from core.errors import DensifyError
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
        self._receiver = Receiver(request, Kind("A shard", "the tar", service.settings.max_shard_bytes))

    @property
    def received(self) -> int:
        return self._receiver.received

    async def run(self, dataset: str, name: str) -> tuple[Shard, bool]:
        """The stored shard, and whether it is new. Raises the InputError tree, StorageError, LedgerError."""
        check_dataset_name(dataset)
        check_shard_name(name)
        self._receiver.check_headers()
        await run_in_threadpool(self._service.ledger.get_dataset, dataset)
        async with self._receiver.into(self._service.store.staging(), self._pool) as (path, sha256, size):
            keep = partial(keep_shard, self._service, dataset, name, path, sha256, size)
            return await asyncio.get_running_loop().run_in_executor(self._pool, keep)


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
