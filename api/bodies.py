"""Request bodies: read with a deadline, bounded, and left politely when an answer comes before their end.

The server underneath has no timeout for slow bodies and no limit for large ones; both are kept here. Small bodies
(everything but a PUT) are read whole before the application runs; a PUT's body is left to its handler, which reads it
through `BodyReader`.
"""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_response
from core.errors import BodyStalledError, BodyTooLongError, BodyTooShortError, DensifyError, ShuttingDownError

#: A client that sends less than this in the stall time counts as stalled: one byte a second keeps no upload open.
LEAST_BYTES = 1024

#: Largest body of a request that carries JSON, bytes.
MAX_JSON_BYTES = 4 << 20

#: After an answer that came before the body's end, this much more is read and thrown away, so that a client which
#: reads the answer only after sending everything gets it, instead of a broken connection.
LINGER_BYTES = 16 << 20
LINGER_S = 2.0
LINGER_SILENCE_S = 0.5


class BodyReader:
    """Reads a request's body piece by piece. `received`: bytes so far."""

    def __init__(self, receive: Receive, stall_s: float, stopping: asyncio.Event | None = None) -> None:
        self._receive = receive
        self._stall_s = stall_s
        self._stopping = stopping
        self._patience_s = stall_s
        self._fresh = 0
        self._ended = False
        self.received = 0

    async def read(self) -> bytes:
        """The next bytes; empty at the end of the body.

        Raises BodyStalledError when too little arrived in the stall time, BodyTooShortError when the client left,
        ShuttingDownError when the service is being stopped.
        """
        while not self._ended:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise BodyTooShortError(f"The connection ended after {self.received:,} bytes.")
            self._ended = not message.get("more_body", False)
            data: bytes = message.get("body", b"")
            if data:
                self._count(len(data))
                return data
        return b""

    async def _next(self) -> Message:
        if self._stopping is not None and self._stopping.is_set():
            raise ShuttingDownError("The service is being stopped.")
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._receive()
        except TimeoutError as error:
            sentence = f"Fewer than {LEAST_BYTES:,} bytes arrived in {self._stall_s:g} seconds."
            raise BodyStalledError(sentence, received=self.received) from error
        finally:
            # Only the time spent waiting for the client counts, not the time that our own disk takes between reads.
            self._patience_s -= time.monotonic() - started

    def _count(self, size: int) -> None:
        self.received += size
        self._fresh += size
        if self._fresh >= LEAST_BYTES:
            self._fresh = 0
            self._patience_s = self._stall_s


class BodyMiddleware:
    """Keeps deadlines and limits for small bodies, and lingers after early answers. See the module's docstring."""

    def __init__(self, app: ASGIApp, stall_s: float) -> None:
        self._app = app
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        if scope["method"] == "PUT":
            await self._app(scope, exchange.receive, exchange.send)
            return
        try:
            body = await self._read_whole(scope, exchange.receive)
        except DensifyError as error:
            await problem_response(error, scope)(scope, exchange.receive, exchange.send)
            return
        await self._app(scope, _replay(body, exchange.receive), exchange.send)

    async def _read_whole(self, scope: Scope, receive: Receive) -> bytes:
        reader = BodyReader(receive, self._stall_s)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > MAX_JSON_BYTES:
            raise _too_long()
        pieces = []
        while data := await reader.read():
            if reader.received > MAX_JSON_BYTES:
                raise _too_long()
            pieces.append(data)
        return b"".join(pieces)


def has_body(headers: Headers) -> bool:
    """Whether the request announces a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _too_long() -> BodyTooLongError:
    return BodyTooLongError(
        f"The body is longer than {MAX_JSON_BYTES >> 20} MiB.",
        hint="Send the request in several parts.",
        limit_bytes=MAX_JSON_BYTES,
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read before, then what follows on the connection."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


class _Exchange:
    """One request and its answer: knows whether the body was read to its end, and lingers if it was not."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._over = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._over = True
        return message

    async def send(self, message: Message) -> None:
        if self._over:
            await self._send(message)
        elif message["type"] == "http.response.start":
            # The rest of the body still comes on this connection: it cannot carry another request.
            MutableHeaders(scope=message)["Connection"] = "close"
            await self._send(message)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._send(message)

    async def _linger(self) -> None:
        thrown_away = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while not self._over and thrown_away < LINGER_BYTES:
                    async with asyncio.timeout(LINGER_SILENCE_S):
                        thrown_away += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
