"""Real servers for tests: Redis and PostgreSQL, each on a free loopback port with a folder of its own.

Each is stopped by its process id and leaves nothing behind. Both can be killed and started again on the same port and
folder, as faults want it. `find` returns None where the program is not installed (scripts/services.sh installs it).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import redis

#: Seconds that a server may take to start or to stop.
PATIENCE_S = 30.0


class Server:
    """A child process that is waited for until it answers."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="densify-test-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def user(self) -> str | None:
        return None

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Starts the server on its folder and port, and returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder, **self._as_user())
        deadline = time.monotonic() + PATIENCE_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command()[0]} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Asks it to end and waits."""
        self._end(signal.SIGINT)

    #: What ends the server at once, without flushing anything.
    KILL = signal.SIGKILL

    def kill(self) -> None:
        """The server dies in the middle of what it does."""
        self._end(self.KILL)

    def _end(self, sign: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(sign)
            self._process.wait(PATIENCE_S)
        self._process = None

    def _as_user(self) -> dict[str, str | list[str]]:
        user = self.user()
        return {} if user is None else {"user": user, "group": user, "extra_groups": []}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.kill()  # the folder goes anyway
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer(Server):
    """redis-server without persistence: what is killed is lost, which is the case that matters."""

    @staticmethod
    def find() -> str | None:
        return shutil.which("redis-server")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        program = self.find()
        assert program is not None
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [program, *options, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]

    def answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def flush(self) -> None:
        """FLUSHALL: every message is gone."""
        with redis.Redis(port=self.port) as client:
            client.flushall()


class PostgresServer(Server):
    """A cluster of its own, with a password; durability off, as the tests kill clients and not the machine."""

    # An immediate shutdown, which is a crash to the data; kill -9 would leave its children holding the shared memory.
    KILL = signal.SIGQUIT
    USER = "densify"
    PASSWORD = "s3cret-of-the-tests"

    def __init__(self) -> None:
        super().__init__()
        self._bin = Path(self.find() or "").parent
        self._data = self.folder / "data"
        password = self.folder / "password"
        password.write_text(self.PASSWORD)
        if (user := self.user()) is not None:
            for path in (self.folder, password):
                shutil.chown(path, user, user)
        options = ["-U", self.USER, "--pwfile", str(password), "--auth=scram-sha-256", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(
            [str(self._bin / "initdb"), "-D", str(self._data), "--locale=C.UTF-8", *options],
            capture_output=True,
            cwd=self.folder,
            **self._as_user(),
        )
        if made.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RuntimeError(f"initdb failed: {made.stderr.decode()[-2000:]}")

    @staticmethod
    def find() -> str | None:
        """The newest `postgres` of Debian's folders, else the one on the path."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
        return str(found[-1]) if found else shutil.which("postgres")

    def user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        if os.getuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def command(self) -> list[str]:
        settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=127.0.0.1"]
        options = [word for setting in settings for word in ("-c", setting)]
        return [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), "-k", "", *options]

    def answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def new_database(self, template: str = "template1") -> str:
        """Makes a database, empty or as a copy of another, and returns its SQLAlchemy URL."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.USER}:{self.PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={self.USER} password={self.PASSWORD} dbname={database}"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Returns once `condition` holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.01)
