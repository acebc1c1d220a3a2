"""Doubles for the workers' tests: an engine that answers at once and fails on command, and shards of drawn pictures."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from PIL import Image

from captioner.engine import CaptionRequest, Completion
from core.settings import Settings
from core.spec import CaptionSpec, Generation
from ledger.records import Shard
from shards.ingest import store_shard
from shards.tar import TarLimits
from shards.writer import write_shard
from workers.service import Service

NOUNS = ("boat", "tree", "house", "dog", "river", "cloud", "street", "table")


class FakeEngine:
    """Captions a picture by its colour. `before` is called ahead of each picture and may raise or wait.

    `limit`: keys of pictures whose captions reach the token limit.
    """

    def __init__(
        self,
        identity: str = "fake:1",
        before: Callable[[CaptionRequest], None] = lambda _: None,
        limit: Iterable[str] = (),
    ) -> None:
        self.identity = identity
        self.before = before
        self.limit = frozenset(limit)
        self.seen: list[str] = []
        self.closed = False
        self._lock = threading.Lock()

    def load(self, _spec: CaptionSpec, _settings: Settings) -> FakeEngine:
        """What Tasks and EmbeddedWorkers take in place of load_engine."""
        return self

    def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
        for request in requests:
            self.before(request)
            with self._lock:
                self.seen.append(request.key)
            red, green, blue = request.image.getpixel((0, 0))  # type: ignore[misc]
            text = f"A {NOUNS[red % 8]} beside a {NOUNS[green % 8]} and a {NOUNS[blue % 8]}, seen as {request.key}."
            yield Completion(request.key, text, len(text.split()), "length" if request.key in self.limit else "stop")

    def close(self) -> None:
        self.closed = True


def picture(seed: str, size: tuple[int, int] = (32, 24)) -> bytes:
    """A one-coloured PNG whose colour comes from `seed`."""
    file = io.BytesIO()
    digest = hashlib.sha256(seed.encode()).digest()
    Image.new("RGB", size, (digest[0], digest[1], digest[2])).save(file, "PNG")
    return file.getvalue()


def make_shard(path: Path, count: int, broken: Iterable[int] = ()) -> Path:
    """A shard of `count` samples; those in `broken` have an image that is none."""
    bad = set(broken)

    def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
        for number in range(count):
            image = b"<html>not found</html>" if number in bad else picture(f"{path.name}{number}")
            yield f"{number:04d}", {"png": image, "txt": f"IMG_{number}.png".encode(), "json": b'{"id": %d}' % number}

    write_shard(path, samples())
    return path


def submit(service: Service, dataset: str, path: Path) -> Shard:
    """What the API does with an upload, without HTTP."""
    part = service.store.staging() / f"{path.name}.test"
    part.write_bytes(path.read_bytes())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    stored = store_shard(service.store, part, sha256, path.stat().st_size, TarLimits.from_settings(service.settings))
    shard, _ = service.ledger.add_shard(
        dataset,
        path.stem,
        stored.sha256,
        stored.size_bytes,
        stored.units,
        stored.rejects,
        service.settings.chunk_samples,
    )
    service.wake()
    return shard


def published(service: Service, prefix: str = "captioned/") -> dict[str, str]:
    """SHA-256 of every file under `prefix` in the store."""
    return {key: service.store.sha256(key) for key in service.store.list() if key.startswith(prefix)}
