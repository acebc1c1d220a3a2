"""Captions from wherever they lie, as (key, text) pairs: tables, folders, shards, standard input.

    .jsonl .ndjson   one JSON object a line (or one JSON string)        .parquet   a string column
    .csv             quoted as usual, with a header                     .tsv       with a header, no quoting
    .txt             one caption a line                                 -          standard input: JSON lines or plain
    .tar             a shard: the .txt member of each sample            folder     of .txt files, or of .tar shards

The caption column is found by its name, or given. Broken UTF-8 and NULs are replaced and counted, never fatal; a file
that is not what its name says is refused, with the line. An empty caption is a caption without nouns; a row that has
none at all (null, missing) is passed over and counted. Leaves out: compressed files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from analysis.caption_files import read_csv, read_jsonl, read_parquet, read_stdin, read_text, read_tsv
from analysis.reading import Reading, Source
from core.errors import BadCaptionsError, NoSuchPathError, NothingToReadError

STDIN = "-"
SHARD_SUFFIX = ".tar"
KINDS = ".jsonl, .ndjson, .parquet, .tsv, .csv, .txt, .tar, a folder of .txt or .tar files, or - for standard input"


def read_captions(
    path: str | Path, *, column: str | None = None, skip_bad: bool = False, reading: Reading | None = None
) -> Iterator[tuple[str, str]]:
    """Yields (key, caption). `-` is standard input. What was put right is counted in `reading`.

    Raises NoSuchPathError, NothingToReadError (no caption in it), BadCaptionsError (says line and reason) or a
    ShardError; a path that does not exist and an unknown kind of file are told at once, the others while reading.
    """
    source = Source("standard input" if str(path) == STDIN else str(path), column, skip_bad, reading or Reading())
    return _not_empty(_opened(path, source), source)


def _opened(path: str | Path, source: Source) -> Iterator[tuple[str, str]]:
    if str(path) == STDIN:
        return read_stdin(source)
    path = Path(path)
    if path.is_dir():
        return _folder(path, source)
    if not path.exists():
        raise NoSuchPathError(f"There is no file or folder {path}.")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BadCaptionsError(f"{path} is of no kind that captions are read from.", hint=f"Densify reads {KINDS}.")
    return reader(path, source)


def _not_empty(captions: Iterator[tuple[str, str]], source: Source) -> Iterator[tuple[str, str]]:
    before = source.reading.captions
    yield from captions
    if source.reading.captions == before:
        raise NothingToReadError(f"{source.name} holds no caption.", hint=" ".join(source.reading.notes()))


# ---- folders and shards ---------------------------------------------------------------------------------------------


def split_folder(path: Path) -> tuple[list[Path], list[Path]]:
    """(.tar shards, .txt files) below a folder, in the order they are read. Raises BadCaptionsError for both kinds."""
    found = (file for file in path.rglob("*") if file.is_file())
    # Hidden folders hold unfinished work (`densify caption` leaves its own in OUT/.densify), no captions.
    files = sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts))
    shards = [file for file in files if file.suffix.lower() == SHARD_SUFFIX]
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    if shards and texts:
        raise BadCaptionsError(
            f"{path} holds both .tar shards and .txt files.", hint="Name the shards, or a folder that holds only one."
        )
    return shards, texts


def _folder(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    shards, texts = split_folder(path)
    if shards:
        for shard in shards:
            yield from _shard(shard, source)
        return
    if not texts:
        raise NothingToReadError(f"{path} holds no .txt and no .tar file.", hint=f"Densify reads {KINDS}.")
    for file in texts:
        text = source.reading.decode(file.read_bytes())
        yield file.relative_to(path).with_suffix("").as_posix(), source.reading.clean(text)


def _shard(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    from core.settings import get_settings
    from shards.reader import read_units
    from shards.tar import TarLimits

    with path.open("rb") as file:
        for unit in read_units(file, path.stat().st_size, TarLimits.from_settings(get_settings())):
            if unit.reject is not None or unit.text is None:
                source.reading.without_caption += 1
                continue
            here = file.tell()
            file.seek(unit.text.offset)
            text = source.reading.decode(file.read(unit.text.size))
            file.seek(here)
            yield unit.key, source.reading.clean(text)


READERS: dict[str, Callable[[Path, Source], Iterator[tuple[str, str]]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".txt": read_text,
    SHARD_SUFFIX: _shard,
}
