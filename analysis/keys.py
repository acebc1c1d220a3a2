"""Keys of samples to keep, as a person sends them (`densify.keys/1`), matched with the shards of a hand-off.

What `densify curate --out` writes, or any Parquet file with the string columns `shard` and `key`; other columns are not
looked at. Names are matched here, shard by shard; which samples a shard has is keep_build.py's to look up.

Columns stay dictionaries, as Parquet has them: a small file can name a long string a billion times.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadFieldError
from shards.names import MAX_NAME_BYTES, show

FORMAT = "densify.keys/1"
#: Bytes of what a keys file may say of itself.
MAX_CLAIMS_BYTES = 1 << 20
#: What a keys file tells of how it was made, as far as the manifest repeats it. Paths of the curating machine are not
#: among it: the same choice is to give the same hand-off everywhere.
CLAIMS = (
    "noun_pipeline",
    "folding",
    "names_counted",
    "cap",
    "caps",
    "excluded",
    "budget",
    "samples",
    "capped_sum",
    "filling",
    "guarantee",
    "filling_rule",
)
_HINT = "Send what `densify curate --out` wrote, or a Parquet file with the text columns `shard` and `key`."
_STEM = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Keys:
    """A keys file: `count` keys, by the shard names that it uses; `claims` is what it says of how it was made."""

    count: int
    by_shard: Mapping[str, Any]  # Arrow dictionary arrays
    claims: dict[str, Any]


def read_keys(source: Path | bytes) -> Keys:
    """Reads a keys file. Raises BadFieldError, its sentence saying what is wrong with the file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["shard", "key"]

    def opened() -> Any:
        return source if isinstance(source, Path) else io.BytesIO(source)

    try:
        schema = pq.read_schema(opened())
        for name in columns:
            _check_text(schema, name)
        claims = _claims(schema.metadata or {})
        with pq.ParquetFile(opened(), read_dictionary=columns) as file:
            table = file.read(columns=columns).unify_dictionaries().combine_chunks()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _wrong(f"The keys file cannot be read: {error}.") from error
    if not len(table):
        raise _wrong("The keys file names no key.")
    shards, keys = (_filled(table.column(name).chunk(0), name) for name in columns)
    codes = shards.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    keys = keys.take(pa.array(order))
    borders = np.searchsorted(codes[order], np.arange(len(shards.dictionary) + 1)).tolist()
    spans = zip(shards.dictionary.to_pylist(), borders, borders[1:], strict=False)
    return Keys(len(keys), {name: keys[start:stop] for name, start, stop in spans if stop > start}, claims)


def _check_text(schema: Any, name: str) -> None:
    import pyarrow as pa

    if schema.names.count(name) != 1:
        raise _wrong(f"The keys file has no column `{name}`, or two.")
    held = schema.field(name).type
    kind = held.value_type if pa.types.is_dictionary(held) else held
    if kind not in (pa.string(), pa.large_string()):
        raise _wrong(f"The column `{name}` of the keys file holds {held}, not text.")


def _filled(column: Any, name: str) -> Any:
    import pyarrow.compute as pc

    if column.null_count or column.dictionary.null_count:
        raise _wrong(f"The keys file has a row without a {name}.")
    if pc.max(pc.binary_length(column.dictionary)).as_py() > 4 * MAX_NAME_BYTES:
        raise _wrong(f"The keys file has a {name} that is longer than any name.")
    return column


def _claims(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    try:
        header = json.loads(metadata.get(b"densify", b"{}"))
        if not isinstance(header, dict) or header.get("format", FORMAT) != FORMAT:
            raise _wrong(f"The file is no keys file of the format {FORMAT}.")
        claims = {name: header[name] for name in CLAIMS if name in header}
        size = len(json.dumps(claims, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError) as error:
        raise _wrong(f"What the keys file says of itself cannot be read: {error}.") from error
    if size > MAX_CLAIMS_BYTES:
        raise _wrong(f"What the keys file says of itself is {size:,} bytes long, over {MAX_CLAIMS_BYTES:,}.")
    return claims


def match(keys: Keys, shards: Mapping[str, str]) -> dict[str, Any]:
    """{stem of a captioned tar: Arrow array of keys}; `shards` is {stem: name in the data set} of the hand-off.

    A shard may be named by the tar's own name, which says its edition too, or by its name in the data set; with or
    without folders and `.tar`. Raises BadFieldError for a shard that is not there, or that is there in another edition.
    """
    import pyarrow as pa

    by_name = {name: stem for stem, name in shards.items()}
    found: dict[str, list[Any]] = {}
    unknown, other = [], []
    for name, array in keys.by_shard.items():
        base = name.replace("\\", "/").rpartition("/")[2].removesuffix(".tar")
        stem = base if base in shards else by_name.get(name) or by_name.get(base)
        if stem is not None:
            found.setdefault(stem, []).append(array)
        elif _STEM.fullmatch(base) and any(each.startswith(base[:16]) for each in shards):
            other.append(name)
        else:
            unknown.append(name)
    if other:
        raise BadFieldError(
            f"{_number(len(other), 'shard')} of the keys file, {show(other[0])} the first, changed since it was made: "
            "the data set has another edition.",
            hint="Fetch the hand-off again (`densify handoff DATASET --out DIR`), and curate by its manifest.",
            field="keep",
        )
    if unknown:
        raise BadFieldError(
            f"{_number(len(unknown), 'shard')} of the keys file, {show(unknown[0])} the first, cannot be handed off.",
            hint="Curate what the data set's hand-off fetched; a shard is named by its tar, or by its name there.",
            field="keep",
        )
    return {stem: pa.chunked_array(arrays) for stem, arrays in found.items()}


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _wrong(sentence: str) -> BadFieldError:
    return BadFieldError(sentence, hint=_HINT, field="keep")
