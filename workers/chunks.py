"""One chunk, from bytes to records: read, decode, caption, write the Parquet file. Knows nothing of leases or queues.

The records of a chunk are published once under a name made from the shard's bytes, the spec, the model and the range:
whoever finds the file there takes it instead of doing the work again (after a crash, or for another data set).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from captioner.captions import Captioned, Sample, caption_samples
from captioner.engine import Engine
from core.reasons import Reject
from core.settings import Settings
from core.spec import CaptionSpec
from shards.images import ImageLimits, ImageRejected, decode_image
from shards.index import ShardIndex, read_members
from shards.keys import chunk_key, source_key
from shards.reader import Unit
from shards.records import Record, read_records, write_records
from shards.store import Store
from workers.ahead import map_ahead

#: Pictures decoded and waiting for the engine, for each decoding thread. Few, because one may have 100 megapixels;
#: enough, because the engine keeps its own small inputs ready.
AHEAD_PER_THREAD = 4


class Stopped(Exception):
    """The process is asked to stop, or the lease is lost: the chunk is given back, nothing is written."""


@dataclass(frozen=True, slots=True)
class ChunkOutput:
    """Where the records lie (a key of the store) and what they hold, structural rejects included."""

    key: str
    sha256: str
    records: tuple[Record, ...]

    @property
    def captioned(self) -> int:
        return sum(record.is_captioned for record in self.records)

    @property
    def flagged(self) -> int:
        return sum(bool(record.flags) for record in self.records)

    @property
    def rejected(self) -> list[Record]:
        return [record for record in self.records if not record.is_captioned]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A unit after its image was looked at: a sample for the engine and its record so far, or a rejected record."""

    sample: Sample | None
    record: Record


class ChunkWork:
    """Does chunks for one process: shares the store, the settings and the decoding threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._limits = ImageLimits.from_settings(settings)
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="densify-decode")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(
        self,
        index: ShardIndex,
        sha256: str,
        start: int,
        stop: int,
        spec: CaptionSpec,
        engine: Engine,
        progress: Callable[[], None],
    ) -> ChunkOutput:
        """Captions the units [start, stop). `progress` is called after each sample and may raise Stopped."""
        key = chunk_key(sha256, spec.hash[:16], _model16(engine.identity), start, stop)
        units = index.slice(start, stop)
        if self._store.exists(key):
            data = self._store.read_bytes(key)
        else:
            records = self._caption(sha256, units, spec, engine, progress)
            metadata = {"model_identity": engine.identity, "spec_hash": spec.hash, "shard_sha256": sha256}
            data = self._store.put_new(key, write_records(records, metadata))
        return ChunkOutput(key, hashlib.sha256(data).hexdigest(), tuple(read_records(data)))

    def _caption(
        self, sha256: str, units: list[Unit], spec: CaptionSpec, engine: Engine, progress: Callable[[], None]
    ) -> list[Record]:
        done: dict[int, Record] = {}
        pending: dict[str, Record] = {}

        def samples() -> Iterator[Sample]:
            for decoded in self._decoded(sha256, units):
                if decoded.sample is None:
                    done[decoded.record.ordinal] = decoded.record
                    progress()
                else:
                    pending[decoded.record.key] = decoded.record
                    yield decoded.sample

        for outcome in caption_samples(engine, spec, samples()):
            record = pending.pop(outcome.key)
            done[record.ordinal] = _finished(record, outcome)
            progress()
        assert not pending, "the engine owes captions"
        return [done[unit.ordinal] for unit in units]

    def _decoded(self, sha256: str, units: list[Unit]) -> Iterator[_Decoded]:
        def read_range(offset: int, size: int) -> bytes:
            return self._store.read_range(source, offset, size)

        source = source_key(sha256)
        members = read_members(read_range, units)
        return map_ahead(self._decode, members, self._pool, AHEAD_PER_THREAD * self._settings.decode_threads)

    def _decode(self, item: tuple[Unit, dict[str, bytes]]) -> _Decoded:
        unit, members = item
        if unit.reject is not None:
            return _Decoded(None, _rejected(unit.ordinal, unit.reject))
        data = members["image"]
        image_sha256 = hashlib.sha256(data).hexdigest()
        old_text, whole = _old_text(members.get("text"))
        try:
            image = decode_image(data, self._limits)
        except ImageRejected as error:
            reject = Reject(unit.key, error.reason, error.sentence)
            return _Decoded(None, _rejected(unit.ordinal, reject, old_text))
        record = Record(
            ordinal=unit.ordinal,
            key=unit.key,
            status="captioned",
            flags=() if whole else ("old_text_not_utf8",),
            width=image.width,
            height=image.height,
            image_sha256=image_sha256,
            old_text=old_text,
        )
        return _Decoded((unit.key, image, old_text, _fields(members.get("json"))), record)


def _model16(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _old_text(data: bytes | None) -> tuple[str | None, bool]:
    """The text and whether it was whole UTF-8; broken bytes become U+FFFD, and NULs, which SQL cannot hold, too."""
    if data is None:
        return None, True
    text = data.decode("utf-8", "replace").replace("\0", "\ufffd")
    return text, "\ufffd" not in text


def _fields(data: bytes | None) -> dict[str, Any]:
    """The fields of a sample's .json; none where it is absent, broken, or no object (a template then finds none)."""
    if data is None:
        return {}
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _rejected(ordinal: int, reject: Reject, old_text: str | None = None) -> Record:
    return Record.rejected(ordinal, reject.key, reject.reason, reject.sentence, old_text)


def _finished(record: Record, outcome: Captioned | Reject) -> Record:
    """The record with what the engine said."""
    if isinstance(outcome, Reject):
        return _rejected(record.ordinal, outcome, record.old_text)
    return replace(
        record,
        caption=outcome.text,
        finish_reason=outcome.finish_reason,
        tokens=outcome.tokens,
        flags=tuple(sorted({*record.flags, *outcome.flags})),
    )
