"""Progress of a data set: one snapshot, or a stream of server-sent events that sends one whenever it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.deps import ServiceDep
from api.openapi import problems
from api.schemas import ProgressOut
from core.errors import DensifyError
from core.logs import get_logger
from ledger import Ledger

router = APIRouter(tags=["progress"])
log = get_logger(__name__)

#: Seconds between two looks at the ledger.
POLL_S = 0.5

#: Seconds between two events when only the rate and the time left have changed: they always do.
RATE_S = 2.0

#: Seconds of silence after which a comment is sent: proxies and clients then know that the stream lives.
HEARTBEAT_S = 15.0

_STREAM = {
    "description": "Events named `progress`; their data is a ProgressOut. Comments are heartbeats.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.get("/datasets/{name}/progress", response_model=ProgressOut, responses=problems(404))
def get_progress(name: str, service: ServiceDep) -> ProgressOut:
    """Counts, rate and time left."""
    return progress_of(service.ledger, name)


@router.get("/datasets/{name}/events", response_class=Response, responses={200: _STREAM, **problems(404)})
async def stream_events(name: str, request: Request, service: ServiceDep) -> StreamingResponse:
    """Server-sent events: the progress now, then whenever it changes, until the client leaves."""
    # Asked once before the answer begins, so that an unknown data set is a 404 and not a broken stream.
    first = await run_in_threadpool(progress_of, service.ledger, name)
    stopping: asyncio.Event = request.app.state.stopping

    def read() -> ProgressOut:
        return progress_of(service.ledger, name)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(snapshots(first, read, stopping), headers=headers, media_type="text/event-stream")


async def snapshots(first: ProgressOut, read: Callable[[], ProgressOut], stopping: asyncio.Event) -> AsyncIterator[str]:
    """The text of the stream. Ends when the service stops, or when the reader closes it."""
    shown, number, spoken = first, 1, time.monotonic()
    yield _event(number, shown)
    while not await _stopped(stopping, POLL_S):
        try:
            now = await run_in_threadpool(read)
        except DensifyError as error:
            # The next look may succeed; the heartbeat below keeps the client waiting until then.
            log.warning("progress_unread", code=error.code, error=error.sentence)
            now = shown
        silent_s = time.monotonic() - spoken
        if now != shown and (_counts(now) != _counts(shown) or silent_s >= RATE_S):
            shown, number, spoken = now, number + 1, time.monotonic()
            yield _event(number, shown)
        elif silent_s >= HEARTBEAT_S:
            spoken = time.monotonic()
            yield ": still here\n\n"


def progress_of(ledger: Ledger, dataset: str) -> ProgressOut:
    """The ledger's counts as they are shown. Raises NoSuchDatasetError."""
    counts = ledger.progress(dataset)
    return ProgressOut(
        dataset=dataset,
        samples=counts["units"],
        **{name: counts[name] for name in ProgressOut.model_fields if name not in {"dataset", "samples"}},
    )


def _counts(progress: ProgressOut) -> dict[str, object]:
    return progress.model_dump(exclude={"images_per_s", "eta_s"})


def _event(number: int, progress: ProgressOut) -> str:
    return f"event: progress\nid: {number}\ndata: {progress.model_dump_json()}\n\n"


async def _stopped(stopping: asyncio.Event, seconds: float) -> bool:
    """Waits `seconds`, less when the service is stopped meanwhile; returns whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True
