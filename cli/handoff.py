"""`densify handoff`: asks the service for a hand-off, fetches what it names, writes it out for other trainers.

The folder of `--out` is laid out as the store is (handoffs/…json beside captioned/…), because the manifest's paths are
relative and its bytes never change. Leaves out: making the manifest (the service) and the formats (analysis/export.py).
"""

from __future__ import annotations

import hashlib
import posixpath
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cli.options import AsJson, Dataset, Url

if TYPE_CHECKING:
    from cli.client import Client
    from cli.console import Line
    from shards.handoff import FileRef, Handoff, HandoffShard


class Format(StrEnum):
    """What a hand-off can be written as; webdataset is what it is."""

    webdataset = "webdataset"
    repacked = "repacked"
    kohya = "kohya"
    everydream = "everydream"
    imagefolder = "imagefolder"
    pixart = "pixart"


class Split(StrEnum):
    """Which samples go out."""

    all = "all"
    train = "train"
    validation = "validation"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a hand-off: its place in the store, and what it must be."""

    key: str
    sha256: str
    size_bytes: int


def handoff(
    dataset: Dataset,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Fetch the shards too, or write the export, into DIR.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="Captioned shards as they are, or written out for a trainer.")
    ] = Format.webdataset,
    split: Annotated[Split, typer.Option("--split", help="Which samples an export for a trainer holds.")] = Split.all,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="KEYS", help="Hand off only the samples that this keys file names.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Hand off all accepted shards: an immutable manifest, and with --out the shards themselves, hashes checked."""
    from cli.client import Client
    from cli.console import print_json
    from core.errors import BadFieldError
    from core.settings import get_settings

    settings = get_settings()
    if format_ is not Format.webdataset and out is None:
        raise BadFieldError(f"--format {format_} needs a folder.", hint="Name a new one with --out DIR.")
    with Client.from_settings(settings, url) as client:
        made = client.hand_off(dataset, send_keys(client, dataset, keep) if keep is not None else None)
        manifest = local_manifest(settings.data_folder, made)
        if out is not None and format_ is Format.webdataset:
            manifest = fetch_handoff(client, dataset, made, out)
        elif out is not None:
            write_out(client, dataset, made, manifest, out, format_, split)
    if as_json:
        print_json({**made, "path": str(manifest) if manifest else None, "out": str(out) if out else None})
    else:
        tell(made, manifest, out, format_)
    if not made["manifest"]["gates"]["passed"]:
        raise typer.Exit(1)


def send_keys(client: Client, dataset: str, file: Path) -> str:
    """Sends a keys file and returns its SHA-256. Raises NoSuchPathError, BadFieldError."""
    from core.errors import NoSuchPathError

    if not file.is_file():
        raise NoSuchPathError(f"There is no file {file}.")
    sha256 = _sha256(file)
    client.put_keep(dataset, file, sha256)
    return sha256


def tell(made: dict[str, Any], manifest: Path | None, out: Path | None, format_: Format) -> None:
    """What was handed off, and where it lies."""
    from cli.console import note

    totals = made["manifest"]["totals"]
    print(manifest or made["key"])
    kept = made["manifest"].get("keep") is not None
    captioned = f"{totals['kept']} kept + {totals['left_out']} left out" if kept else f"{totals['captioned']} captioned"
    note(f"{totals['shards']} shards: {totals['samples_in']} samples in = {captioned} + {totals['rejected']} rejected")
    for failure in made["manifest"]["gates"]["failures"]:
        note(f"gate {failure['gate']}: {failure['sentence']}")
    if out is not None and format_ is not Format.webdataset:
        note(f"Written for {format_} into {out}.")
    elif manifest is None:
        note("The manifest lies in the service's DENSIFY_DATA; --out DIR fetches it with its shards.")
    else:
        note(f"Prove it: densify verify {manifest}")
    if kept and out is not None and format_ is Format.webdataset:
        note(
            f"warning: the tars hold the {totals['left_out']} samples that are left out too; "
            "--format repacked writes tars of the kept ones alone."
        )


def local_manifest(data_folder: Path | None, made: dict[str, Any]) -> Path | None:
    """The manifest's file, where DENSIFY_DATA is a folder of this machine and holds it."""
    if data_folder is None:
        return None
    file = data_folder / str(made["key"])
    return file if file.is_file() else None


def fetch_handoff(client: Client, dataset: str, made: dict[str, Any], out: Path, *, to_export: bool = False) -> Path:
    """Fetches manifest and shards into `out` and returns the manifest's file. What is there already stays.

    `to_export`: shards of which no sample is kept are not fetched; a proof would need them. Raises DigestMismatchError
    for bytes that are not the manifest's, CheckFailedError for a changed manifest.
    """
    from cli.console import Meter
    from core.files import write_atomic

    manifest = checked_manifest(made)
    folder = posixpath.dirname(made["key"])
    shards = [shard for shard in manifest.shards if shard.samples_held or not to_export]
    parts = [(shard.name, files_of(manifest, folder, shard.name)) for shard in shards]
    parts += [("keep file", [_in_store(folder, manifest.keep)])] if manifest.keep is not None else []
    with Meter("bytes") as meter:
        for name, files in parts:
            line = meter.line(name, sum(file.size_bytes for file in files))
            try:
                for file in files:
                    _fetch(client, dataset, made["digest"], file, out, line)
            except BaseException:
                line.drop()
                raise
            line.finish("fetched")
    # Last: where the manifest is, everything it names is.
    target = out / str(made["key"])
    write_atomic(target, manifest.dump())
    return target


def checked_manifest(made: dict[str, Any]) -> Handoff:
    """The manifest that the service answered, proven to be what its digest names."""
    import json

    from core.errors import CheckFailedError
    from shards.handoff import load

    manifest = load(json.dumps(made["manifest"]).encode())
    if not manifest.digest == manifest.content_digest() == made["digest"]:
        raise CheckFailedError("The manifest that the service sent is not what its digest names.")
    return manifest


def files_of(manifest: Handoff, folder: str, shard_name: str) -> list[File]:
    """The files of one shard, by their place in the store. Raises CheckFailedError for a path that leads out of it."""
    found = []
    for shard in manifest.shards:
        if shard.name != shard_name:
            continue
        entries = (shard, shard.records, shard.nouns, shard.samples, shard.manifest)
        found += [_in_store(folder, entry) for entry in entries]
    return found


def _in_store(folder: str, entry: HandoffShard | FileRef) -> File:
    from core.errors import CheckFailedError

    key = posixpath.normpath(posixpath.join(folder, entry.path))
    if key.startswith(("/", "..")) or "://" in key:
        raise CheckFailedError(f"The manifest names a file outside of its store: {entry.path}.")
    return File(key, entry.sha256, entry.size_bytes)


def _fetch(client: Client, dataset: str, digest: str, file: File, out: Path, line: Line) -> None:
    target = out / file.key
    if target.is_file() and target.stat().st_size == file.size_bytes and _sha256(target) == file.sha256:
        line.advance(file.size_bytes)
        return
    client.handoff_file(dataset, digest, file.key, target, line.advance, file.sha256)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_out(
    client: Client, dataset: str, made: dict[str, Any], manifest: Path | None, out: Path, format_: Format, split: Split
) -> None:
    """Writes the hand-off for another trainer into the new folder `out`; shards that are not here are fetched.

    Raises what analysis.export.export raises.
    """
    from analysis.export import FORMATS, export
    from cli.console import Meter

    assert format_ in FORMATS, "webdataset is what a hand-off is"
    totals = made["manifest"]["totals"]

    def write(source: Path) -> None:
        with Meter("images") as meter:
            line = meter.line(f"writing {format_}", totals.get("kept", totals["captioned"]))
            export(source, out, cast(Any, format_.value), split=split.value, progress=line.advance)
            line.finish("written")

    if manifest is not None:
        write(manifest)
        return
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".densify-", dir=out.absolute().parent) as folder:
        write(fetch_handoff(client, dataset, made, Path(folder), to_export=True))
