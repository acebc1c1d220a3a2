"""What a choice is worth: its figures beside those of random choices of the same size and of everything; its keys.

Leaves out: the choice itself (curate.py) and reading (curate_input.py).
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Set
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from analysis.curate import FILL_SENTENCE, GUARANTEE, GUARANTEE_SENTENCE, Choice, Ints, SampleNouns, value
from analysis.curate_input import Read
from analysis.tables import Counting
from core.files import write_atomic

FORMAT = "densify.keys/1"
#: Random choices that the choice is compared with, and the middle share of them that is reported, in per cent.
DRAWS = 100
MIDDLE = 95
#: Nouns of a list that are named where no caption has them.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """One choice measured. `capped_sum` is F; the others are as in the density table, excluded nouns left out."""

    images: float
    capped_sum: float
    valid_nouns: float
    distinct_nouns: float
    valid_share: float
    total_nouns: float
    nouns_per_image: float


@dataclass(frozen=True)
class Asked:
    """What was asked for. `by_noun`: caps that differ from `cap`; `excluded`: nouns that do not count (both folded)."""

    paths: tuple[str, ...]
    budget: int
    cap: int
    by_noun: dict[str, int]
    excluded: frozenset[str]
    seed: int
    how: Counting


@dataclass(frozen=True)
class Comparison:
    """The choice, DRAWS random choices of its size (mean; the ends of the middle 95 %), and all samples."""

    chosen: Figures
    mean: Figures
    low: Figures
    high: Figures
    whole: Figures

    def margin(self, name: str) -> tuple[float, float, float]:
        """(mean, low, high): by how much the choice exceeds random ones, and the same for the middle 95 % of them."""
        chosen, mean, low, high = (getattr(each, name) for each in (self.chosen, self.mean, self.low, self.high))
        return chosen - mean, chosen - high, chosen - low


def compare(samples: SampleNouns, choice: Choice, caps: Ints, seed: int, min_count: int) -> Comparison:
    """Measures the choice against random ones, drawn without replacement; the same seed draws the same."""
    size = len(choice.rows)
    draw = np.random.default_rng(seed)

    def figures(rows: Ints | None) -> Figures:
        held = samples.totals(rows)
        images, distinct, total = len(samples) if rows is None else len(rows), int((held > 0).sum()), int(held.sum())
        valid = int((held >= min_count).sum())
        share = valid / distinct if distinct else 0.0
        return Figures(images, value(held, caps), valid, distinct, share, total, total / images)

    drawn = [figures(np.sort(draw.choice(len(samples), size, replace=False))) for _ in range(DRAWS)]
    values = np.array([list(asdict(each).values()) for each in drawn], float)
    low, high = np.percentile(values, [(100 - MIDDLE) / 2, (100 + MIDDLE) / 2], axis=0)
    mean, low, high = (Figures(*map(float, row)) for row in (values.mean(axis=0), low, high))
    return Comparison(figures(choice.rows), mean, low, high, figures(None))


# ---- for machines ---------------------------------------------------------------------------------------------------


def how_made(asked: Asked, read: Read, choice: Choice) -> dict[str, Any]:
    """Everything that decides the choice, and what is proven of it."""
    return {
        "paths": list(asked.paths),
        "noun_pipeline": read.noun_pipeline,
        "folding": asked.how.folding,
        "names_counted": asked.how.names,
        "column": asked.how.column,
        "cap": asked.cap,
        "caps": dict(sorted(asked.by_noun.items())),
        "excluded": sorted(asked.excluded),
        "budget": asked.budget,
        "samples": len(read.samples),
        "capped_sum": choice.reached,
        "filling": choice.filling,
        "guarantee": {
            "share_of_best": _at_least(GUARANTEE, 6),
            "share_of_best_here": _at_least(choice.share_of_best, 6),
            "best_at_most": choice.best_at_most,
            "sentence": GUARANTEE_SENTENCE,
        },
        "filling_rule": FILL_SENTENCE,
    }


def payload(asked: Asked, read: Read, choice: Choice, comparison: Comparison, out: Path | None) -> dict[str, Any]:
    """The JSON report."""
    margin = {name: dict(zip(("mean", "low", "high"), comparison.margin(name), strict=True)) for name in _names()}
    return {
        **how_made(asked, read, choice),
        "min_count": asked.how.min_count,
        "chosen": asdict(comparison.chosen),
        "random": {
            "draws": DRAWS,
            "seed": asked.seed,
            "mean": asdict(comparison.mean),
            "low": asdict(comparison.low),
            "high": asdict(comparison.high),
        },
        "margin": margin,
        "whole": asdict(comparison.whole),
        "keys": str(out) if out else None,
        "reading": vars(read.reading),
        "notes": notes(asked, read, choice),
    }


def _names() -> list[str]:
    return [item.name for item in fields(Figures) if item.name != "images"]


def write_keys(path: Path, asked: Asked, read: Read, choice: Choice) -> None:
    """Parquet of shard, key (string), row, order, gain (int64), in the order of the choice. Same choice, same bytes.

    `row`: which caption of its file, from 1, for files that give several captions one key.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number, row = read.place(choice.rows)
    columns = {
        "shard": pa.array([read.origins[each].name for each in number], pa.string()),
        "key": pa.array([read.keys[each] for each in choice.rows], pa.string()),
        "row": pa.array(row, pa.int64()),
        "order": pa.array(np.arange(1, len(choice.rows) + 1), pa.int64()),
        "gain": pa.array(choice.gains, pa.int64()),
    }
    origins = [{"shard": each.name, "path": each.path, "captions": each.captions} for each in read.origins]
    header = {"format": FORMAT, **how_made(asked, read, choice), "shards": origins}
    metadata = {b"densify": json.dumps(header, sort_keys=True).encode()}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), sink, compression="zstd")
    write_atomic(path, sink.getvalue())


# ---- for people -----------------------------------------------------------------------------------------------------


def render(asked: Asked, read: Read, choice: Choice, comparison: Comparison) -> Group:
    """The report for a rich console."""
    table = RichTable(title=f"{asked.budget:,} of {len(read.samples):,} samples", title_justify="left")
    table.add_column("")
    for heading in ("chosen", "random", f"random, {MIDDLE} %", "margin", f"margin, {MIDDLE} %", "all samples"):
        table.add_column(heading, justify="right")
    for name, heading, show in _rows(asked.how.min_count):
        chosen, mean, low, high, whole = (getattr(each, name) for each in vars(comparison).values())
        margin, least, most = comparison.margin(name)
        cells = [show(chosen), show(mean), f"{show(low)} to {show(high)}", _signed(margin, show)]
        table.add_row(heading, *cells, f"{_signed(least, show)} to {_signed(most, show)}", show(whole))
    return Group(table, *(Text(note) for note in notes(asked, read, choice)))


def _rows(min_count: int) -> list[tuple[str, str, Callable[[float], str]]]:
    return [
        ("valid_nouns", f"VN (>= {min_count})", _whole),
        ("distinct_nouns", "DN", _whole),
        ("valid_share", "VN/DN", lambda share: f"{share:.1%}"),
        ("capped_sum", "F", _whole),
        ("nouns_per_image", "nouns per image", lambda figure: f"{figure:.2f}"),
        ("total_nouns", "total nouns", _whole),
    ]


def _whole(figure: float) -> str:
    return f"{figure:,.0f}"


def _at_least(figure: float, digits: int) -> float:
    """Rounded down: what is proven must not be made more by rounding."""
    step = float(10**digits)
    return math.floor(figure * step) / step


def _signed(figure: float, show: Callable[[float], str]) -> str:
    return ("-" if figure < 0 else "+") + show(abs(figure))


def notes(asked: Asked, read: Read, choice: Choice) -> list[str]:
    """What was used, what is proven, and what to beware of, one sentence each."""
    folding = "singular, lower case" if asked.how.folding == "lemma" else "lower case"
    counted = "common and proper nouns" if asked.how.names else "common nouns only"
    lists = [f", {len(asked.by_noun):,} nouns with a cap of their own"] if asked.by_noun else []
    lists += [f", {len(asked.excluded):,} excluded"] if asked.excluded else []
    sentences = [
        f"Nouns by {read.noun_pipeline}, {counted}, {folding}{''.join(lists)}. "
        f"F: sum over nouns of min(occurrences, {asked.cap}).",
        GUARANTEE_SENTENCE,
        f"Here no choice of this size has an F above {choice.best_at_most:,}, so this one reaches at least "
        f"{_at_least(100 * choice.share_of_best, 1):.1f} % of the best.",
    ]
    if choice.filling:
        reached = len(choice.rows) - choice.filling
        sentences.append(f"After {reached:,} samples nothing raises F. {FILL_SENTENCE}")
    sentences.append(
        f"Random: {DRAWS} choices of the same size (seed {asked.seed}), their mean and the middle {MIDDLE} % of them."
    )
    sentences += _absent("with a cap of their own", asked.by_noun.keys() - set(read.samples.nouns) - asked.excluded)
    sentences += _absent("to exclude", read.absent)
    return sentences + read.reading.notes()


def _absent(which: str, nouns: Set[str]) -> list[str]:
    if not nouns:
        return []
    shown = ", ".join(sorted(nouns)[:SHOWN]) + (", …" if len(nouns) > SHOWN else "")
    return [f"Nouns {which} that no caption has: {len(nouns):,} ({shown})."]
