"""Captioning local shards without a service: `densify caption`. The same chunks, records and files, no ledger.

Work in progress lies under OUT/.densify as in a store; a run that was stopped goes on at the first chunk whose records
are not there. The captioned shards appear in OUT whole, under the names that their content gives them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from captioner.engine import Engine, load_engine
from core.errors import InputError, NoSuchPathError
from core.files import storage_errors, temporary_path
from core.settings import Settings
from core.spec import CaptionSpec
from shards.ingest import StoredShard, load_index, store_shard
from shards.keys import source_key
from shards.manifest import CaptionedManifest
from shards.records import Record
from shards.store import Store, open_store
from shards.tar import TarLimits
from workers.chunks import ChunkWork
from workers.engines import EngineLoader
from workers.finalise import ShardRecords, write_edition

#: Where unfinished work lies inside OUT.
WORK = ".densify"

#: Told as work goes on: (shard, units done, units in all).
Progress = Callable[[Path, int, int], None]


@dataclass(frozen=True, slots=True)
class LocalResult:
    """One shard that was captioned: where it came from, where its tar lies, and its manifest."""

    source: Path
    tar: Path
    manifest: CaptionedManifest


def caption_locally(
    paths: Sequence[Path],
    out: Path,
    spec: CaptionSpec,
    settings: Settings,
    progress: Progress = lambda *_: None,
    load: EngineLoader = load_engine,
) -> Iterator[LocalResult]:
    """Captions shards one after another into `out`, yielding each as it is done.

    Raises NoSuchPathError before any work when a path is absent, the ShardError tree for a shard that is damaged
    (naming it), the EngineConfigError tree when the engine cannot be loaded.
    """
    for path in paths:
        if not path.is_file():
            raise NoSuchPathError(f"{path} is no file.")
    store = open_store(str(out / WORK))
    engine = load(spec, settings)
    work = ChunkWork(store, settings)
    try:
        for path in paths:
            yield _caption_shard(path, out, store, work, engine, spec, settings, progress)
    finally:
        work.close()
        engine.close()


def _caption_shard(
    path: Path,
    out: Path,
    store: Store,
    work: ChunkWork,
    engine: Engine,
    spec: CaptionSpec,
    settings: Settings,
    progress: Progress,
) -> LocalResult:
    with _taken_in(path, store, settings) as stored:
        index = load_index(store, stored.sha256)
        records: list[Record] = []

        def step() -> None:
            nonlocal done
            done += 1
            progress(path, done, stored.units)

        done = 0
        for start in range(0, stored.units, settings.chunk_samples):
            stop = min(start + settings.chunk_samples, stored.units)
            output = work.run(index, stored.sha256, start, stop, spec, engine, step)
            records.extend(output.records)
            done = stop
            progress(path, done, stored.units)
        shard = ShardRecords(records, engine.identity)
        edition = write_edition(store, index, shard, spec, path.stem, {})
    return LocalResult(path, _hand_over(store, edition.manifest_key, out), edition.manifest)


@contextmanager
def _taken_in(path: Path, store: Store, settings: Settings) -> Iterator[StoredShard]:
    """The shard inside the working store, by hard link where the file system allows, for as long as it is worked on."""
    part = temporary_path(store.staging() / path.name)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with storage_errors(str(part)):
        _link_or_copy(path, part)
    try:
        stored = store_shard(store, part, sha256, path.stat().st_size, TarLimits.from_settings(settings))
    except InputError as error:
        error.sentence = f"{path}: {error.sentence}"
        raise
    finally:
        part.unlink(missing_ok=True)
    yield stored
    store.delete(source_key(stored.sha256))


def _hand_over(store: Store, manifest_key: str, out: Path) -> Path:
    """Links the captioned shard's files into `out`, the manifest last; returns the tar's path."""
    manifest = store.path(manifest_key)
    assert manifest is not None, "the working store is local"
    beside = [file for file in manifest.parent.iterdir() if file != manifest]
    with storage_errors(str(out)):
        for file in [*beside, manifest]:
            part = temporary_path(out / file.name)
            _link_or_copy(file, part)
            part.replace(out / file.name)
            part.unlink(missing_ok=True)  # rename does nothing where both names are one file already
    return out / manifest.with_suffix(".tar").name


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
