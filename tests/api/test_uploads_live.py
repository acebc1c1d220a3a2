"""PUT of a shard over a real connection: aborts, stalls, resets, stops, and flat memory."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from shards.writer import member_header
from tests.api.support import Live, live, part_files, read_all, settings, sha256_of, small_tar, wait_for
from workers.service import Service

PATH = "/v1/datasets/birds/shards/train-000.tar"
MB = 1 << 20


def nothing_kept(running: Live) -> None:
    """Waits until no part file is left; then nothing else may be there either."""
    wait_for(lambda: not part_files(running.service))
    assert running.service.ledger.list_shards("birds")[0] == []
    assert list(running.service.store.list("shards")) == []


def begun(running: Live, *headers: str) -> socket.socket:
    """An upload of 50 MB of which 5 MB were sent and written."""
    connection = running.begin_put(PATH, 50 * MB, *headers)
    connection.sendall(bytes(5 * MB))
    wait_for(lambda: any(path.stat().st_size for path in part_files(running.service)))
    return connection


def test_a_client_that_closes_leaves_nothing_behind(running: Live) -> None:
    begun(running).close()
    nothing_kept(running)
    assert httpx.put(running.url + PATH, content=small_tar()).status_code == 201


def test_a_client_that_resets_the_connection_leaves_nothing_behind(running: Live) -> None:
    connection = begun(running)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    nothing_kept(running)


def test_a_stalled_upload_is_dropped_at_its_deadline_and_others_are_unaffected(tmp_path: Path) -> None:
    with Service.embedded(settings(tmp_path, upload_stall_s=1)) as service, live(service) as running:
        service.ledger.create_dataset("birds", service.settings.default_spec())
        with begun(running) as connection:
            assert httpx.put(running.url + PATH, content=small_tar()).status_code == 201
            started = time.monotonic()
            answer = read_all(connection)
        assert 0.2 < time.monotonic() - started < 10
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"received": 5242880' in answer
        wait_for(lambda: not part_files(service))


def test_a_client_that_drips_a_byte_now_and_then_is_dropped_too(tmp_path: Path) -> None:
    with Service.embedded(settings(tmp_path, upload_stall_s=0.5)) as service, live(service) as running:
        service.ledger.create_dataset("birds", service.settings.default_spec())
        with running.begin_put(PATH, 50 * MB) as connection:
            started = time.monotonic()
            connection.settimeout(0.05)
            answer = b""
            while not answer and time.monotonic() - started < 10:
                connection.sendall(b"x")
                try:
                    answer = connection.recv(65536)
                except TimeoutError:
                    continue
        assert answer.startswith(b"HTTP/1.1 408 ")
        wait_for(lambda: not part_files(service))


def test_bytes_behind_the_announced_length_are_not_part_of_the_shard(running: Live) -> None:
    data = small_tar()
    with running.begin_put(PATH, len(data)) as connection:
        connection.sendall(data + b"and more")
        answer = read_all(connection)
    # What follows is read as another request; where both arrive at once, the server refuses the connection.
    assert answer.startswith((b"HTTP/1.1 201 ", b"HTTP/1.1 400 "))
    shards, _ = running.service.ledger.list_shards("birds")
    assert [shard.sha256 for shard in shards] in ([], [sha256_of(data)])


def test_a_chunked_upload_is_taken(running: Live) -> None:
    data = small_tar()
    pieces = (data[start : start + 1000] for start in range(0, len(data), 1000))
    assert httpx.put(running.url + PATH, content=pieces).json()["sha256"] == sha256_of(data)


def test_a_client_that_waits_to_be_asked_is_asked(running: Live) -> None:
    data = small_tar()
    with running.begin_put(PATH, len(data), "Expect: 100-continue", "Connection: close") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(data)
        assert read_all(connection).startswith(b"HTTP/1.1 201 ")


def test_uploads_of_the_same_bytes_at_once_are_one_shard(running: Live) -> None:
    data = small_tar(200)
    answers: list[httpx.Response] = []

    def put(number: int) -> None:
        answers.append(httpx.put(f"{running.url}/v1/datasets/birds/shards/s{number}.tar", content=data, timeout=30))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert part_files(running.service) == []


def test_a_stop_answers_an_upload_under_way_and_takes_seconds(service: Service) -> None:
    service.ledger.create_dataset("birds", service.settings.default_spec())
    with live(service) as running:
        connection = begun(running)
        started = time.monotonic()
        running.server.should_exit = True
        wait_for(lambda: running.server.config.app.state.stopping.is_set())  # type: ignore[union-attr]
        connection.sendall(bytes(MB))
        answer = read_all(connection)
        connection.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"shutting_down" in answer
    assert time.monotonic() - started < 10
    assert part_files(service) == []


def test_a_stop_does_not_wait_for_a_silent_upload(service: Service) -> None:
    service.ledger.create_dataset("birds", service.settings.default_spec())
    with live(service, timeout_graceful_shutdown=1) as running:
        connection = begun(running)
        running.server.should_exit = True
        answer = read_all(connection)
        connection.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"shutting_down" in answer
    wait_for(lambda: not part_files(service))


def big_tar(megabytes: int) -> Iterator[bytes]:
    """A shard of one sample for every 10 MB, made as it is sent."""
    block = bytes(MB)
    for number in range(megabytes // 10):
        yield member_header(f"{number:04d}.jpg", 10 * MB)
        yield from (block for _ in range(10))
    yield bytes(1024)


def test_memory_stays_flat_during_an_upload_of_200_mb(running: Live) -> None:
    assert httpx.put(f"{running.url}/v1/datasets/birds/shards/first.tar", content=big_tar(20)).status_code == 201
    process, highest, done = psutil.Process(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    before = process.memory_info().rss
    watcher.start()
    answer = httpx.put(running.url + PATH, content=big_tar(200), timeout=120)
    done.set()
    watcher.join()
    assert (answer.status_code, answer.json()["samples"]) == (201, 20)
    assert highest - before < 64 * MB


def test_the_metrics_count_an_abort(running: Live) -> None:
    begun(running).close()
    wait_for(
        lambda: re.search(r'uploads_total\{outcome="body_too_short"\} 1', httpx.get(running.url + "/metrics").text)
    )
