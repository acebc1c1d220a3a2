"""Serving the application: uvicorn with the limits that a public port needs, and a stop that takes seconds.

uvicorn waits for every open answer when it is told to stop, and a stream of events never ends by itself: so streams
are told first, uploads are answered 503, and what is still running after STOP_S is cancelled.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

#: Seconds that requests under way get after SIGTERM.
STOP_S = 10

#: Connections at once; further ones are answered 503 instead of taking memory.
MAX_CONNECTIONS = 1000


class Server(uvicorn.Server):
    """uvicorn's server, which tells the application when it is stopped."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping: asyncio.Event = self.config.app.state.stopping  # type: ignore[union-attr]
        stopping.set()
        await super().shutdown(sockets)


def make_server(app: FastAPI, host: str, port: int, **options: Any) -> Server:
    """A server for `app`; `options` are uvicorn's, over ours."""
    ours: dict[str, Any] = {
        "log_config": None,  # core/logs.py has set logging up
        "access_log": False,  # api/access.py writes a line without query and headers
        "server_header": False,
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_graceful_shutdown": STOP_S,
    }
    return Server(uvicorn.Config(app, host=host, port=port, **ours | options))
