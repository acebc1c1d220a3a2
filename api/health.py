"""Whether the service lives (healthz) and whether all it leans on works (readyz). Neither wants a key."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.metrics import every_progress
from api.schemas import Check, Ready
from core.errors import DensifyError
from core.files import TEMPORARY_MARK
from workers.hints import LocalHints
from workers.service import Service

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Lives")
async def healthz() -> dict[str, str]:
    """200 as long as the process answers. Route traffic by this one."""
    return {"status": "ok"}


@router.get(
    "/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Something does not work."}}
)
async def readyz(request: Request, response: Response) -> Ready:
    """200 when ledger, store and broker work and waiting work moves on; 503 with the reasons otherwise.

    Uploads are taken even while the broker is down or the workers stand still: the work waits in the ledger.
    """
    ready = await run_in_threadpool(examine, request.app.state.service, request.app.state.stall)
    if not ready.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return ready


class StallWatch:
    """Tells whether work that waits moves on: it remembers when the counts last changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._seen: tuple[int, int] = (0, 0)
        self._moved_s = time.monotonic()

    def check(self) -> Check:
        """Not ok when samples wait and none was finished for DENSIFY_STALL_S seconds. Raises LedgerError."""
        finished = waiting = 0
        for progress in every_progress(self._service.ledger):
            finished += progress["captioned"] + progress["rejected"]
            waiting += progress["pending"] - progress["pending_quarantined"]
        now = time.monotonic()
        if waiting == 0 or (finished, waiting) != self._seen:
            self._seen, self._moved_s = (finished, waiting), now
        still_s = now - self._moved_s
        if still_s > self._service.settings.stall_s:
            return Check(
                ok=False, sentence=f"{waiting:,} samples wait and none was finished for {still_s:.0f} seconds."
            )
        return Check(ok=True, sentence=f"{waiting:,} samples wait." if waiting else "Nothing waits.")


def examine(service: Service, stall: StallWatch) -> Ready:
    """Looks at everything once; a part that fails does not hide the others."""
    checks = {"ledger": _ledger(service), "store": _store(service), "broker": _broker(service)}
    if checks["ledger"].ok:
        checks["progress"] = _caught(stall.check)
    return Ready(ready=all(check.ok for check in checks.values()), checks=checks)


def _ledger(service: Service) -> Check:
    def ping() -> Check:
        service.ledger.ping()
        return Check(ok=True, sentence="The ledger answers.")

    return _caught(ping)


def _store(service: Service) -> Check:
    def write() -> Check:
        probe = f"tmp/ready{TEMPORARY_MARK}{uuid.uuid4().hex[:12]}"
        service.store.put_bytes(probe, b"ready")
        service.store.delete(probe)
        return Check(ok=True, sentence="The store can be written.")

    return _caught(write)


def _broker(service: Service) -> Check:
    waiting = service.hints.queued()
    if isinstance(service.hints, LocalHints):
        return Check(ok=True, sentence="Hints stay inside the process; no broker is needed.")
    if waiting is None:
        return Check(ok=False, sentence="Redis does not answer; work waits in the ledger.")
    return Check(ok=True, sentence=f"Redis answers; {waiting:,} hints wait.")


def _caught(look: Callable[[], Check]) -> Check:
    try:
        return look()
    except DensifyError as error:
        return Check(ok=False, sentence=error.sentence)
