"""What the tests of the HTTP surface share: shards as bytes, a broker that is down, a real server, finished shards."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.app import create_app
from api.server import Server, make_server
from core.settings import Settings
from ledger.records import Shard
from shards.captioned import build_captioned
from shards.ingest import load_index
from shards.records import Record, final_caption, write_records
from shards.writer import ShardWriter
from workers.service import Service

Samples = Iterable[tuple[str, Mapping[str, bytes]]]


class DownHints:
    """A broker that is down: takes nothing, answers nothing, raises nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def send(self, kind: str, ids: Iterable[str]) -> int:
        self.asked += 1
        return 0

    def queued(self) -> int | None:
        self.asked += 1
        return None

    def my_turn(self, seconds: float) -> bool:
        return True

    def close(self) -> None: ...


def settings(folder: Path, **values: Any) -> Settings:
    """Settings of a service in `folder`, whatever the environment says."""
    defaults: dict[str, Any] = {"model": "a-model", "chunk_samples": 4, "api_keys": [], "ingest_allow": []}
    return Settings(data=str(folder / "data"), ledger="", **defaults | values)


def tar_of(samples: Samples) -> bytes:
    """A shard's bytes."""
    buffer = io.BytesIO()
    writer = ShardWriter(buffer)
    for key, members in samples:
        for extension, data in members.items():
            writer.add(f"{key}.{extension}", data)
    writer.finish()
    return buffer.getvalue()


def small_tar(count: int = 6, salt: str = "") -> bytes:
    """`count` samples of an image (bytes that nobody decodes here) and an old text each."""
    image = b"image " + salt.encode()
    return tar_of((f"{n:04d}", {"jpg": image + b"%d" % n, "txt": b"old text %d" % n}) for n in range(count))


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_of(data: bytes) -> str:
    """The value of Repr-Digest."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def caption_for(ordinal: int) -> str:
    return f"A red bird number {ordinal} on a branch."


class WordNouns:
    """A noun pipeline for tests: `bird` and `branch` are nouns."""

    name = "test-words-1"

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Any]]:
        from analysis.nouns import Noun

        for text in texts:
            found = [(word, text.find(word)) for word in ("bird", "branch") if word in text]
            yield [Noun(word, word, "NOUN", at, at + len(word)) for word, at in found]


def finish(
    service: Service,
    shard: Shard,
    passed: bool = True,
    flags: Mapping[int, Sequence[str]] | None = None,
    rejected: Iterable[int] = (),
) -> Shard:
    """Does the workers' part for one shard: captions every unit, writes the edition, measures, gates."""
    ledger = service.ledger
    records: list[Record] = []
    for chunk in ledger.claimable("chunk", 1000):
        claim = ledger.claim_chunk(chunk, "test", 60)
        if claim is None or claim.shard_id != shard.id:
            continue
        part = _caption(service, claim.sha256, claim.start, claim.stop, flags or {}, set(rejected))
        done = [record for record in part if record.is_captioned]
        key = f"chunks/{chunk}.parquet"
        service.store.put_bytes(key, write_records(part))
        rejects = [(r.ordinal, r.key, r.reason or "", r.sentence or "") for r in part if not r.is_captioned]
        flagged = sum(bool(record.flags) for record in done)
        ledger.commit(claim, key, "0" * 64, len(done), len(part) - len(done), flagged, rejects)
        records += part
    return finalise(service, shard, records, passed)


def finalise(service: Service, shard: Shard, records: list[Record], passed: bool = True) -> Shard:
    """Writes an edition with the ledger's corrections in place."""
    from analysis.counts import measure, write_samples
    from analysis.density import table_from_counts

    ledger = service.ledger
    claim = ledger.claim_finalise(shard.id, "test", 60)
    assert claim is not None
    assert shard.sha256 is not None
    index = load_index(service.store, shard.sha256)
    ordinals = {record.key: record.ordinal for record in records}
    corrections = {ordinals[key]: told for key, told in ledger.corrections_for(shard.id).items()}
    final = [(record.key, final_caption(record, corrections)) for record in records if record.is_captioned]
    counts, rows = measure(final, WordNouns())
    files = {"nouns": counts.to_parquet(), "samples": write_samples(rows, WordNouns.name)}
    table = table_from_counts(counts).as_dict()
    manifest, key = build_captioned(
        service.store,
        index,
        records,
        claim.dataset.spec,
        "test:model",
        shard.name,
        corrections,
        files,
        service.store.staging(),
        "test",
        table,
    )
    told = (manifest.sha256, manifest.size_bytes, manifest.captioned, manifest.rejected, manifest.flagged)
    ledger.complete_captioned(claim, key, manifest.edition, *told)
    ledger.complete_measured(claim, table)
    return ledger.complete_gated(claim, passed, [] if passed else ["The valid share is 0, the gate asks for 1."])


def _caption(
    service: Service, sha256: str, start: int, stop: int, flags: Mapping[int, Sequence[str]], rejected: set[int]
) -> list[Record]:
    records = []
    for unit in load_index(service.store, sha256).slice(start, stop):
        if unit.reject is not None or unit.ordinal in rejected:
            reason = unit.reject.reason if unit.reject else "image_truncated"
            sentence = unit.reject.sentence if unit.reject else "The JPEG ends early."
            records.append(Record.rejected(unit.ordinal, unit.key, reason, sentence))
            continue
        assert unit.image is not None
        image = service.store.read_range(f"shards/{sha256[:2]}/{sha256}.tar", unit.image.offset, unit.image.size)
        records.append(
            Record(
                ordinal=unit.ordinal,
                key=unit.key,
                status="captioned",
                caption=caption_for(unit.ordinal),
                finish_reason="stop",
                tokens=8,
                flags=tuple(flags.get(unit.ordinal, ())),
                width=32,
                height=24,
                image_sha256=sha256_of(image),
                old_text=f"old text {unit.ordinal}",
            )
        )
    return records


class Live:
    """A real server on a free port of this machine."""

    def __init__(self, service: Service, server: Server, port: int) -> None:
        self.service = service
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def connect(self) -> socket.socket:
        """A bare connection, for what a well-behaved client cannot do."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def begin_put(self, path: str, length: int, *headers: str) -> socket.socket:
        """Sends the head of a PUT and returns the connection."""
        connection = self.connect()
        lines = [f"PUT {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {length}", *headers]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection


@contextmanager
def live(service: Service, **options: Any) -> Iterator[Live]:
    """Serves `service` in a thread, as api.server does."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(create_app(service), "127.0.0.1", 0, **options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield Live(service, server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def wait_for(true: Callable[[], object], seconds: float = 20) -> None:
    """Waits until `true()` is."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes; a reset counts as the end."""
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


def part_files(service: Service) -> list[Path]:
    """Unfinished uploads in the staging folder."""
    return [path for path in service.store.staging().iterdir() if path.is_file()]
