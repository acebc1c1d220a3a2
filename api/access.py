"""One line in the log and one count in the metrics for every request; the answer to requests cut off by a stop.

The line holds method, path, status, bytes and time: neither headers nor query, so no key gets into it.
"""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import path_of, problem_response
from api.metrics import Metrics
from core.errors import ShuttingDownError
from core.logs import get_logger

log = get_logger(__name__)

#: Asked for every few seconds by machines: not worth a line.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class AccessMiddleware:
    """The outermost layer around the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, stopping: asyncio.Event) -> None:
        self._app = app
        self._metrics = metrics
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Counted(receive, send)
        started = time.perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            # The server cancels what is still running some seconds after it was told to stop.
            if not self._stopping.is_set() or exchange.status:
                raise
            error = ShuttingDownError("The service is being stopped.")
            await problem_response(error, scope)(scope, exchange.receive, exchange.send)
        finally:
            self._note(scope, exchange, time.perf_counter() - started)

    def _note(self, scope: Scope, exchange: _Counted, seconds: float) -> None:
        status = exchange.status or 500
        self._metrics.request(scope["method"], _route(scope), status)
        if scope["path"] not in _QUIET:
            log.info(
                "request",
                method=scope["method"],
                path=path_of(scope),
                status=status,
                bytes_in=exchange.bytes_in,
                bytes_out=exchange.bytes_out,
                seconds=round(seconds, 4),
            )


def _route(scope: Scope) -> str:
    """The path with its parameters' names; one word for everything that no route took, so that labels stay few."""
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        return "none"
    template = template.replace(":path", "")
    return f"/v1{template}" if scope["path"].startswith("/v1/") else str(template)


class _Counted:
    """A request's two channels, counted."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        self.bytes_out += len(message.get("body", b""))
        await self._send(message)
