"""`densify serve`: the API in a uvicorn server, and with --embedded a worker beside it in the same process."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import uvicorn

    from core.settings import Settings


def serve(
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Caption in this process too: no Redis, no worker, SQLite by default.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; a public one needs an API key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8000,
) -> None:
    """Run the API. With --embedded everything: API, dispatch and one worker in this process."""
    from cli.console import note
    from core.logs import configure
    from core.settings import get_settings

    settings = get_settings()
    configure(settings.log_level)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # a line per plugin at each start
    with listen(host, port) as ear, prepared(settings, embedded, host, port) as server:
        end_on_signals(server)
        note(f"Densify serves at {url_of(ear)} (interactive documentation at {url_of(ear)}/docs); Ctrl-C ends it.")
        server.run(sockets=[ear])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingError where the address is taken or not this machine's."""
    from core.errors import SettingError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingError(
            f"{host} port {port} cannot be listened on: {error.strerror or error}.",
            hint="Another program may hold the port: choose one with --port, or --port 0 for any.",
        ) from error


def url_of(ear: socket.socket) -> str:
    """`http://127.0.0.1:8000` for a listening socket."""
    host, port = ear.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def prepared(settings: Settings, embedded: bool, host: str, port: int) -> Iterator[uvicorn.Server]:
    """A server that is ready to run, the sweeper and, where embedded, the worker threads beside it; all end with it.

    Raises PublicWithoutKeyError for a public address without keys, and what ledger, store and engine raise.
    """
    from api.app import create_app
    from api.auth import check_public
    from api.server import make_server
    from workers.embedded import EmbeddedWorkers
    from workers.service import Service

    with Service.embedded(settings) if embedded else Service(settings) as service:
        server = make_server(create_app(service), host, port)
        check_public(host, service.ledger)  # after create_app: it has registered the keys of DENSIFY_API_KEYS
        if not embedded:
            service.sweeper.start()
            yield server
            return
        workers = EmbeddedWorkers(service)
        workers.start()
        try:
            yield server
        finally:
            workers.stop()


def end_on_signals(server: uvicorn.Server) -> None:
    """Makes SIGTERM and SIGINT end the process by unwinding, so that chunks in hand are given back.

    uvicorn takes the signals while it runs and raises them again afterwards; with the default handler the second
    SIGTERM would kill the process before the worker threads could give back what they hold.
    """

    def handler(number: int, _frame: object) -> None:
        if not server.should_exit:
            raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
