"""Hints: carried by a real Redis, harmless when it is down, wiped or doubled."""

from __future__ import annotations

import time

import redis
from kombu import Connection

from tests.services import RedisServer, free_port
from workers.celery_app import QUEUE, TASK_NAMES, make_celery
from workers.hints import CeleryHints, LocalHints


def received(url: str) -> list[tuple[str, list[str]]]:
    """(task name, arguments) of every message that waits, taken from the queue as a worker would."""
    found = []
    app = make_celery(url)
    with Connection(url) as connection:
        queue = app.conf.task_queues[0](connection)
        while (message := queue.get(accept=["json"])) is not None:
            found.append((message.headers["task"], message.payload[0]))
            message.ack()
    app.close()
    return found


def test_a_sent_hint_waits_in_redis_and_carries_nothing_but_its_id(redis_server: RedisServer) -> None:
    redis_server.flush()
    hints = CeleryHints(redis_server.url)
    assert hints.send("chunk", ["c1", "c2"]) == 2
    assert hints.queued() == 2
    assert received(redis_server.url) == [(TASK_NAMES["chunk"], ["c1"]), (TASK_NAMES["chunk"], ["c2"])]
    hints.close()


def test_hints_can_be_sent_after_redis_lost_everything(redis_server: RedisServer) -> None:
    hints = CeleryHints(redis_server.url)
    hints.send("chunk", ["before"])
    redis_server.flush()
    assert hints.queued() == 0
    assert hints.send("finalise", ["after"]) == 1
    assert received(redis_server.url) == [(TASK_NAMES["finalise"], ["after"])]
    hints.close()


def test_a_redis_that_is_down_takes_no_hint_raises_nothing_and_costs_seconds_at_most() -> None:
    hints = CeleryHints(f"redis://127.0.0.1:{free_port()}/0")
    begin = time.monotonic()
    assert hints.send("chunk", [str(number) for number in range(1000)]) == 0
    assert hints.queued() is None
    assert hints.my_turn(5.0)
    assert time.monotonic() - begin < 10
    hints.close()


def test_one_of_many_sweepers_has_the_turn(redis_server: RedisServer) -> None:
    redis_server.flush()
    first, second = CeleryHints(redis_server.url), CeleryHints(redis_server.url)
    assert [first.my_turn(60), second.my_turn(60), first.my_turn(60)] == [True, False, False]
    redis_server.flush()
    assert second.my_turn(60)
    first.close()
    second.close()


def test_messages_are_json_never_pickle(redis_server: RedisServer) -> None:
    redis_server.flush()
    hints = CeleryHints(redis_server.url)
    hints.send("ingest", ["x"])
    with redis.Redis.from_url(redis_server.url) as client:
        (message,) = client.lrange(QUEUE, 0, -1)  # type: ignore[misc]
    assert b'"content-type": "application/json"' in message
    hints.close()


def test_local_hints_hold_each_piece_of_work_once() -> None:
    hints = LocalHints()
    hints.send("chunk", ["a", "b", "a"])
    hints.send("finalise", ["a"])
    assert hints.queued() == 3
    assert [hints.receive(0), hints.receive(0), hints.receive(0), hints.receive(0)] == [
        ("chunk", "a"),
        ("chunk", "b"),
        ("finalise", "a"),
        None,
    ]
    hints.send("chunk", ["a"])
    assert hints.receive(0) == ("chunk", "a")
