"""Captions in one file: JSON lines, plain lines, CSV, TSV, Parquet. Each reader yields (key, text) pairs.

The caption column is found by its name, or given. Leaves out: which reader serves which path (captions_input.py).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from analysis.reading import Source
from core.errors import BadCaptionsError

#: Names by which a caption column is found (compared in lower case, without '_', '-' and spaces).
CAPTION_NAMES = ("caption", "captions", "text", "txt", "alttext", "alt", "description", "sentence")

# ---- lines ----------------------------------------------------------------------------------------------------------


def _lines(file: Iterable[bytes], source: Source) -> Iterator[tuple[int, str]]:
    """(line number, text without line break); drops a byte-order mark, raises for UTF-16 and compressed data."""
    for number, raw in enumerate(file, start=1):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise BadCaptionsError(f"{source.name} is UTF-16, not UTF-8.", hint="Save it as UTF-8.")
            if raw.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
                raise BadCaptionsError(f"{source.name} is compressed.", hint="Unpack it first.")
        yield number, source.reading.decode(raw).rstrip("\r\n")


def _json_lines(lines: Iterable[tuple[int, str]], source: Source) -> Iterator[tuple[str, str]]:
    column: str | None = None
    for number, line in lines:
        if not line.strip():
            continue
        try:
            # strict=False: raw control characters inside strings are common in scraped captions.
            row = json.loads(line, strict=False)
        except (ValueError, RecursionError) as error:
            source.bad(number, f"is not JSON: {getattr(error, 'msg', 'nested too deeply')}")
            continue
        if isinstance(row, str):
            yield source.reading.key(None, number), source.reading.clean(row)
        elif not isinstance(row, dict):
            source.bad(number, "is JSON, but neither an object nor a string")
        else:
            if column is None:
                column = find_column(list(row), source.name, source.column)
            yield from _cell(row.get(column), _key_of(row, number, source), number, source)


def _cell(value: Any, key: str, number: int, source: Source) -> Iterator[tuple[str, str]]:
    if value is None:
        source.reading.without_caption += 1
    elif isinstance(value, str):
        yield key, source.reading.clean(value)
    else:
        source.bad(number, f"has a caption that is no text but {type(value).__name__}")


def _key_of(row: dict[str, Any], number: int, source: Source) -> str:
    return source.reading.key(next((row[name] for name in ("key", "__key__", "id") if name in row), None), number)


def read_jsonl(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        yield from _json_lines(_lines(file, source), source)


def _plain_lines(lines: Iterable[tuple[int, str]], source: Source) -> Iterator[tuple[str, str]]:
    for number, line in lines:
        if line.strip():
            yield source.reading.key(None, number), source.reading.clean(line)


def read_text(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        yield from _plain_lines(_lines(file, source), source)


def read_stdin(source: Source, stream: IO[bytes] | None = None) -> Iterator[tuple[str, str]]:
    """JSON lines where the first line with anything on it begins with '{' or a column is named, else plain lines."""
    lines = _lines(stream or sys.stdin.buffer, source)
    first = next((line for line in lines if line[1].strip()), None)
    if first is None:
        return

    def again() -> Iterator[tuple[int, str]]:
        yield first
        yield from lines

    parse = _json_lines if first[1].lstrip().startswith("{") or source.column else _plain_lines
    yield from parse(again(), source)


# ---- tables ---------------------------------------------------------------------------------------------------------


def find_column(names: list[str], where: str, wanted: str | None = None) -> str:
    """The caption column among `names`. Raises BadCaptionsError where there is none, or more than one could be it."""
    listed = ", ".join(names) or "none"
    if wanted is not None:
        if wanted in names:
            return wanted
        raise BadCaptionsError(f"{where} has no column {wanted!r}.", hint=f"Its columns: {listed}.")
    found = [name for name in names if "".join(c for c in name.lower() if c not in "_- ") in CAPTION_NAMES]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadCaptionsError(
            f"{where} has no caption column.", hint=f"Its columns: {listed}. Name the one with --column."
        )
    raise BadCaptionsError(
        f"{where} has {len(found)} columns that could be the caption: {', '.join(found)}.",
        hint="Name the one that is meant with --column.",
    )


def _delimited(path: Path, source: Source, **dialect: Any) -> Iterator[tuple[str, str]]:
    csv.field_size_limit(1 << 30)
    with path.open("rb") as file:
        # Line breaks inside quotes belong to the cell, so they are put back.
        rows = csv.reader((line + "\n" for _, line in _lines(file, source)), **dialect)
        header = next(rows, None)
        if header is None:
            return
        column = find_column(header, source.name, source.column)
        try:
            for row in rows:
                if not row:
                    continue
                if len(row) > len(header):
                    source.bad(rows.line_num, f"has {len(row)} cells, the header has {len(header)}")
                    continue
                cells: dict[str, Any] = dict(zip(header, row, strict=False))
                yield from _cell(cells.get(column), _key_of(cells, rows.line_num, source), rows.line_num, source)
        except csv.Error as error:
            raise BadCaptionsError(f"{source.name}: line {rows.line_num} is broken: {error}.") from error


def read_csv(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    return _delimited(path, source, strict=True)


def read_tsv(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    # Captions hold lone quotation marks; a TSV cell can hold neither tab nor line break, so nothing needs quoting.
    return _delimited(path, source, delimiter="\t", quoting=csv.QUOTE_NONE)


def read_parquet(path: Path, source: Source) -> Iterator[tuple[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            column = find_column(schema.names, source.name, source.column)
            if not _is_text(schema.field(column).type):
                raise BadCaptionsError(
                    f"{source.name}: the column {column!r} is {schema.field(column).type}, not text.",
                    hint="Name a text column with --column.",
                )
            key = next((name for name in ("key", "__key__", "id") if name in schema.names and name != column), None)
            number = 0
            for batch in file.iter_batches(batch_size=8192, columns=[column] + ([key] if key else [])):
                texts = batch.column(column)
                if pa.types.is_dictionary(texts.type):
                    texts = texts.dictionary_decode()
                keys = batch.column(key).to_pylist() if key else [None] * len(texts)
                # As bytes: a string column may hold broken UTF-8, which is counted, not fatal.
                for value, name in zip(texts.cast(pa.large_binary()).to_pylist(), keys, strict=True):
                    number += 1
                    text = None if value is None else source.reading.decode(value)
                    yield from _cell(text, source.reading.key(name, number), number, source)
    except (pa.ArrowException, OSError) as error:
        raise BadCaptionsError(f"{source.name} cannot be read as Parquet: {error}.") from error


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    tests: tuple[Callable[[Any], bool], ...] = (
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_binary,
        types.is_large_binary,
    )
    return any(test(kind) for test in tests)
