"""Paths in, samples to choose from out: the nouns of every caption, and the names by which a sample is found again.

Also the two lists that a person may give: caps by noun, and nouns that do not count. Serves `densify curate`. Leaves
out: the choice (curate.py).
"""

from __future__ import annotations

import csv
import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from analysis.captions_input import SHARD_SUFFIX, STDIN, read_captions, split_folder
from analysis.counts import count_forms, walk
from analysis.curate import Ints, SampleNouns
from analysis.handoff_samples import Part, is_handoff, parts_of
from analysis.nouns import NounPipeline, load_pipeline
from analysis.reading import Reading
from analysis.tables import COUNTS_SUFFIX, PROGRESS_STEP, Counting
from analysis.words import fold
from core.errors import BadCaptionsError, BadFieldError, NoSuchPathError, NothingToReadError

#: A greater cap is a slip of the keyboard.
LARGEST_CAP = 1 << 40


@dataclass
class Origin:
    """One file or folder that captions came from. `name` stands in the keys file; `named`: it was given itself.

    `part`: what it is of a hand-off, where one was named.
    """

    path: str
    name: str
    named: bool
    part: Part | None = None
    captions: int = 0


@dataclass(frozen=True, eq=False)
class Read:
    """Everything to choose from, in the order of the input: sample i is `keys[i]`, its origins follow one another.

    `absent`: nouns that were to be left out and that no caption has.
    """

    samples: SampleNouns
    keys: Sequence[str]
    origins: Sequence[Origin]
    noun_pipeline: str
    reading: Reading
    absent: frozenset[str]

    def place(self, rows: Ints) -> tuple[Ints, Ints]:
        """(which origin, which caption of it, from 1) of these samples."""
        ends = np.cumsum([origin.captions for origin in self.origins])
        number = np.searchsorted(ends, rows, side="right")
        begins = np.concatenate([[0], ends[:-1]])
        return number, rows - begins[number] + 1


def read_samples(paths: Sequence[str | Path], how: Counting, excluded: Collection[str] = ()) -> Read:
    """Reads and tags every caption, but for shards of a hand-off that were measured in this very way: their nouns are
    read. `excluded` nouns (folded) are not counted at all.

    Raises what reading raises (captions_input.py, handoff_samples.py), NothingToReadError without a path, BadFieldError
    for a path that was named twice, MissingPackageError or BadFieldError for the pipeline.
    """
    origins = _origins(paths)
    pipeline = load_pipeline(how.pipeline)
    reading = Reading()
    ids: dict[str, int] = {}
    keys: list[str] = []
    absent = set(excluded)
    columns, counts, starts = array("i"), array("i"), array("q", [0])
    for key, forms in _samples(origins, how, pipeline, reading):
        keys.append(key)
        for form, occurrences, common in forms:
            count = occurrences if how.names else common
            if form in excluded:
                absent.discard(form)
            elif count:
                columns.append(ids.setdefault(form, len(ids)))
                counts.append(count)
        starts.append(len(columns))
        if how.progress and len(keys) % PROGRESS_STEP == 0:
            how.progress(PROGRESS_STEP)
    if not keys:
        raise NothingToReadError(
            f"There is no caption in {', '.join(map(str, paths))}.", hint=" ".join(reading.notes())
        )
    matrix = SampleNouns(list(ids), np.array(starts, np.int64), np.array(columns, np.int32), np.array(counts, np.int32))
    return Read(matrix, keys, origins, pipeline.name, reading, frozenset(absent))


def _samples(
    origins: Sequence[Origin], how: Counting, pipeline: NounPipeline, reading: Reading
) -> Iterator[tuple[str, Iterable[tuple[str, int, int]]]]:
    """(key, its nouns: form, occurrences, occurrences as a common noun) of every sample, in the order of the input."""

    def is_measured(origin: Origin) -> bool:
        return origin.part is not None and origin.part.was_measured_by(pipeline.name, how.folding)

    for measured, group in groupby(origins, is_measured):
        if measured:
            yield from _measured(group, reading)
            continue
        for key, _, nouns in walk(_captions(group, how, reading), pipeline):
            yield key, ((form, *counts) for form, counts in count_forms(nouns, how.folding).items())


def _measured(origins: Iterable[Origin], reading: Reading) -> Iterator[tuple[str, Iterable[tuple[str, int, int]]]]:
    for origin in origins:
        assert origin.part is not None
        for row in origin.part.samples():
            origin.captions += 1
            reading.captions += 1
            reading.empty += not row.words
            yield row.key, row.forms or ()


def _captions(origins: Iterable[Origin], how: Counting, reading: Reading) -> Iterator[tuple[str, str]]:
    for origin in origins:
        try:
            for key, text in read_captions(origin.path, column=how.column, skip_bad=how.skip_bad, reading=reading):
                if origin.part is None or origin.part.wanted(key):
                    origin.captions += 1
                    yield key, text
        except NothingToReadError:
            # One shard of a folder may be without captions, as it may be for `densify density`.
            if origin.named:
                raise


def _origins(paths: Sequence[str | Path]) -> list[Origin]:
    """The files that the paths stand for: shards of a folder or hand-off one by one, so that each key has its shard."""
    if not paths:
        raise NothingToReadError("No path was given.", hint="Name captioned shards, or a file or folder of captions.")
    found: list[tuple[str, bool, Part | None]] = []
    for path in paths:
        if str(path) != STDIN and not Path(path).exists():
            raise NoSuchPathError(f"There is no file or folder {path}.")
        if str(path).endswith(COUNTS_SUFFIX):
            raise BadCaptionsError(
                f"{path} holds the noun counts of a whole shard, which name no sample.", hint="Name the shard itself."
            )
        if is_handoff(Path(path)):
            found += [(str(part.tar), False, part) for part in parts_of(Path(path))]
            continue
        shards = split_folder(Path(path))[0] if Path(path).is_dir() else []
        found += [(str(shard), False, None) for shard in shards] or [(str(path), True, None)]
    twice = [path for path, count in Counter(Path(path).resolve() for path, *_ in found).items() if count > 1]
    if twice:
        raise BadFieldError(f"{twice[0]} is named twice: its samples could be chosen twice.")
    names = Counter(_name(path) for path, *_ in found)
    return [Origin(path, _name(path) if names[_name(path)] == 1 else path, named, part) for path, named, part in found]


def _name(path: str) -> str:
    name = Path(path).name or path
    return name.removesuffix(SHARD_SUFFIX) if name.lower().endswith(SHARD_SUFFIX) else name


# ---- lists ----------------------------------------------------------------------------------------------------------


def read_caps(path: Path) -> dict[str, int]:
    """{folded noun: cap} of a .json file (one object) or a CSV file (noun,cap; that header may stand above).

    Raises NoSuchPathError, and BadFieldError that names the line or the noun that is wrong.
    """
    text = _text(path)
    caps: dict[str, int] = {}
    for where, noun, cap in _json_caps(path, text) if path.suffix.lower() == ".json" else _csv_caps(path, text):
        form = fold(noun)
        if not form:
            raise BadFieldError(f"{path}: {where} names no noun.", hint=_CAPS_HINT)
        if type(cap) is not int or not 0 <= cap <= LARGEST_CAP:
            raise BadFieldError(f"{path}: {where}: the cap {cap!r} is no whole number from 0 on.", hint=_CAPS_HINT)
        if form in caps:
            raise BadFieldError(f"{path}: {where}: the noun {form!r} stands there twice.")
        caps[form] = cap
    if not caps:
        raise BadFieldError(f"{path} names no noun.", hint=_CAPS_HINT)
    return caps


_CAPS_HINT = 'Write lines of noun,cap (CSV), or {"noun": cap} (.json).'


def _json_caps(path: Path, text: str) -> Iterator[tuple[str, str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFieldError(f"{path} is not JSON: {error}.", hint=_CAPS_HINT) from error
    if not isinstance(value, dict):
        raise BadFieldError(f"{path} is no JSON object.", hint=_CAPS_HINT)
    for noun, cap in value.items():
        yield f"{noun!r}", noun, cap


def _csv_caps(path: Path, text: str) -> Iterator[tuple[str, str, Any]]:
    rows = csv.reader(text.splitlines(), strict=True)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (rows.line_num == 1 and [cell.lower() for cell in cells] == ["noun", "cap"]):
                continue
            if len(cells) != 2:
                raise BadFieldError(f"{path}: line {rows.line_num} has {len(cells)} cells, not 2.", hint=_CAPS_HINT)
            cap = int(cells[1]) if cells[1].isdecimal() and len(cells[1]) < 20 else cells[1]
            yield f"line {rows.line_num}", cells[0], cap
    except csv.Error as error:
        raise BadFieldError(f"{path}: line {rows.line_num} is broken: {error}.", hint=_CAPS_HINT) from error


def read_excluded(path: Path) -> frozenset[str]:
    """The folded nouns of a text file, one a line. Raises NoSuchPathError, BadFieldError where it is no UTF-8."""
    return frozenset(form for line in _text(path).splitlines() if (form := fold(line.strip())))


def _text(path: Path) -> str:
    if not path.is_file():
        raise NoSuchPathError(f"There is no file {path}.")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFieldError(f"{path} is not UTF-8.", hint="Save it as UTF-8.") from error


def check_cap(cap: int) -> None:
    """Raises BadFieldError for a cap below 1: with it no noun would count."""
    if not 1 <= cap <= LARGEST_CAP:
        raise BadFieldError(f"The cap is {cap}: it must be 1 or more.")


def caps_of(samples: SampleNouns, cap: int, by_noun: Mapping[str, int]) -> Ints:
    """The cap of each noun of these samples: (V,)."""
    return np.array([by_noun.get(noun, cap) for noun in samples.nouns], np.int64)
