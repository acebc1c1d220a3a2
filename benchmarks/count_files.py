"""Count files (`.nouns.parquet`) of a data set that nobody captioned: Zipf's nouns, in the format of docs/density.md.

The k-th most frequent noun of the vocabulary is drawn with chance 1/k, so every shard brings nouns that no other has,
as web captions do. The same arguments give the same files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.counts import COLUMNS, FORMAT, ROW_GROUP

_SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxz" for vowel in "aeiou"]
_ENDINGS = ("", "s", "ing", "-shirt")


@dataclass(frozen=True)
class Corpus:
    """`shards` files of `captions` captions, each of `nouns` nouns out of a vocabulary (at most 10^8)."""

    shards: int
    captions: int
    nouns: int
    vocabulary: int
    seed: int = 0


def words(count: int) -> list[str]:
    """So many words of 8 to 14 letters, all different, in the order of the alphabet."""
    # The factor shares no divisor with 10^8: no number comes twice, and neighbours do not look alike.
    numbers = ((place * 61_803_399) % 10**8 for place in range(count))
    return sorted(
        _SYLLABLES[n // 10**6]
        + _SYLLABLES[n // 10**4 % 100]
        + _SYLLABLES[n // 100 % 100]
        + _SYLLABLES[n % 100]
        + _ENDINGS[n % 4]
        for n in numbers
    )


def write_count_files(folder: Path, corpus: Corpus) -> list[Path]:
    """Writes the files; returns their paths."""
    import pyarrow as pa

    rng = np.random.default_rng(corpus.seed)
    names = pa.array(words(corpus.vocabulary), pa.string())
    chances = np.cumsum(1 / np.arange(1, corpus.vocabulary + 1))
    place_of_rank = rng.permutation(corpus.vocabulary)
    is_name = rng.random(corpus.vocabulary) < 0.3
    files = []
    for number in range(corpus.shards):
        draws = rng.random(corpus.captions * corpus.nouns) * chances[-1]
        nouns = place_of_rank[np.searchsorted(chances, draws)]
        file = folder / f"{number:05d}.nouns.parquet"
        _write(file, _columns(nouns, corpus, is_name), names, corpus)
        files.append(file)
    return files


def _columns(nouns: Any, corpus: Corpus, is_name: Any) -> list[Any]:
    """Which nouns, then what analysis.counts.COLUMNS names."""
    captions = np.repeat(np.arange(corpus.captions), corpus.nouns)
    distinct, occurrences = np.unique(nouns, return_counts=True)
    pairs = np.unique(nouns * corpus.captions + captions)
    _, images = np.unique(pairs // corpus.captions, return_counts=True)
    common = ~is_name[distinct]
    return [distinct, occurrences, images, occurrences * common, images * common]


def _write(file: Path, columns: list[Any], names: Any, corpus: Corpus) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = {
        "format": FORMAT,
        "noun_pipeline": "synthetic",
        "folding": "lower",
        "images": corpus.captions,
        "words": 3 * corpus.captions * corpus.nouns,
        "images_without_noun": 0,
        "images_without_common_noun": 0,
    }
    metadata = {b"densify": json.dumps(header, sort_keys=True).encode()}
    distinct, *counts = columns
    arrays = [names.take(pa.array(distinct)), *(pa.array(column, pa.int64()) for column in counts)]
    table = pa.table(arrays, names=["noun", *COLUMNS]).replace_schema_metadata(metadata)
    pq.write_table(table, file, compression="zstd", row_group_size=ROW_GROUP)
