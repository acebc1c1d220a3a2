"""Hints: "there may be work at this id". Two carriers, Celery over Redis for a fleet and a local queue for one process.

A hint may be lost, late or doubled: whoever receives it claims in the ledger first. Nothing here raises when the
carrier is down; the sweeper sends again what the ledger says is unfinished.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from typing import Literal, Protocol

import redis

from core.logs import get_logger
from workers.celery_app import QUEUE, TASK_NAMES, make_celery

Kind = Literal["ingest", "chunk", "finalise"]
KINDS: tuple[Kind, ...] = ("finalise", "chunk", "ingest")

log = get_logger(__name__)


class Hints(Protocol):
    """The carrier of hints, shared by threads."""

    def send(self, kind: Kind, ids: Iterable[str]) -> int:
        """Sends one hint per id; returns how many were taken. A carrier that is down takes none and raises nothing."""
        ...

    def queued(self) -> int | None:
        """Hints that wait to be received; None when the carrier does not answer."""
        ...

    def my_turn(self, seconds: float) -> bool:
        """True for one caller in `seconds`: of many sweepers, one works at a time."""
        ...

    def close(self) -> None: ...


class LocalHints:
    """Hints inside one process, for the embedded service: a queue that holds each piece of work at most once."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Kind, str]] = queue.Queue()
        self._waiting: set[tuple[Kind, str]] = set()
        self._lock = threading.Lock()

    def send(self, kind: Kind, ids: Iterable[str]) -> int:
        sent = 0
        for identifier in ids:
            with self._lock:
                if (kind, identifier) not in self._waiting:
                    self._waiting.add((kind, identifier))
                    self._queue.put((kind, identifier))
            sent += 1
        return sent

    def receive(self, timeout_s: float) -> tuple[Kind, str] | None:
        """The next hint, or None after `timeout_s` seconds without one."""
        try:
            hint = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
        with self._lock:
            self._waiting.discard(hint)
        return hint

    def queued(self) -> int:
        return self._queue.qsize()

    def my_turn(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        pass


class CeleryHints:
    """Hints as Celery messages that carry one id each."""

    #: One sweeper of the whole fleet holds this key at a time.
    _TURN_KEY = "densify:sweep"

    def __init__(self, broker_url: str) -> None:
        self._celery = make_celery(broker_url)
        # Short timeouts: a broker that is down must not hold up an upload's answer.
        self._redis = redis.Redis.from_url(broker_url, socket_connect_timeout=2, socket_timeout=5)

    def send(self, kind: Kind, ids: Iterable[str]) -> int:
        sent = 0
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=0, timeout=2)
                with self._celery.amqp.Producer(connection) as producer:
                    for identifier in ids:
                        self._celery.send_task(TASK_NAMES[kind], args=[identifier], producer=producer, retry=False)
                        sent += 1
        except Exception as error:
            log.warning("hints_not_sent", kind=kind, sent=sent, error=str(error))
        return sent

    def queued(self) -> int | None:
        try:
            return int(self._redis.llen(QUEUE))  # type: ignore[arg-type]
        except redis.RedisError as error:
            log.warning("broker_silent", error=str(error))
            return None

    def my_turn(self, seconds: float) -> bool:
        try:
            return bool(self._redis.set(self._TURN_KEY, b"1", nx=True, px=max(1, int(seconds * 1000))))
        except redis.RedisError:
            return True  # leases expire whether or not the broker answers

    def close(self) -> None:
        self._redis.close()
        self._celery.close()
