"""The files that a hand-off names, over HTTP: for machines that do not see the store. No other file is served.

A hand-off pins every file by hash, so what is fetched here can be proven by whoever fetched it.
"""

from __future__ import annotations

import posixpath
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.deps import ServiceDep
from api.downloads import StoredFile, send_file
from api.handoffs import with_manifest
from api.openapi import problems
from core.errors import NotFoundError
from shards.names import show
from workers.service import Service

router = APIRouter(tags=["hand-offs"])

_PATH = "/datasets/{name}/handoffs/{digest}/files/{path:path}"
_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.head(_PATH, include_in_schema=False)
@router.get(
    _PATH,
    response_class=Response,
    responses={
        200: {"description": "The file, byte for byte.", **_BYTES},
        206: {"description": "The bytes of one Range.", **_BYTES},
        304: {"description": "If-None-Match names its sha256."},
        **problems(404, 416, 503),
    },
)
async def get_handoff_file(name: str, digest: str, path: str, request: Request, service: ServiceDep) -> Response:
    """A file of a hand-off: `path` as the manifest has it, without the leading `../`."""
    return await send_file(request, await run_in_threadpool(find_file, service, name, digest, path))


def find_file(service: Service, dataset: str, digest: str, path: str) -> StoredFile:
    """A file that the hand-off names. Raises NoSuchHandoffError, NotFoundError for any other file of the store."""
    handoff = service.ledger.get_handoff(dataset, digest)
    known = files_of(with_manifest(service, handoff).manifest, posixpath.dirname(handoff.key))
    if path not in known:
        raise NotFoundError(f"The hand-off names no file {show(path)}.", hint="The manifest lists its files.")
    entry = known[path]
    filename = posixpath.basename(path)
    return StoredFile(service.store, path, entry["sha256"], entry["size_bytes"], filename, "application/octet-stream")


def files_of(manifest: dict[str, Any], folder: str) -> dict[str, dict[str, Any]]:
    """{store key: {sha256, size_bytes, …}} of every file that the manifest in `folder` names."""
    entries = [manifest["keep"]] if manifest.get("keep") else []
    entries += [
        entry
        for shard in manifest["shards"]
        for entry in (shard, *(shard[kind] for kind in ("manifest", "records", "nouns", "samples")))
    ]
    return {posixpath.normpath(posixpath.join(folder, entry["path"])): entry for entry in entries}
