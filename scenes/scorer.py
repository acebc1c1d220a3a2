"""Captions judged against scene graphs: what is said rightly, what is missing, what is invented.

A caption is parsed (parser.py) and compared with its scene as multisets of facts of five kinds:

    noun       every thing's noun                               boat
    colour     colour and noun                                  red boat
    position   noun and zone                                    boat, top left
    relation   subject, relation, object                        bird on boat
    count      each noun with how many of it there are          3 boats

Facts are pooled over all scenes: precision is the share of what was said that is true, recall the share of what is
there that was said. Three plain shares stand beside them: background right, style right, caption equal word for word
to the dense caption. Leaves out writing captions and knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scenes.captions import dense
from scenes.graph import Relation, Scene, Thing
from scenes.parser import ParsedScene, PartialThing, parse

FACTS: Final[tuple[str, ...]] = ("noun", "colour", "position", "relation", "count")
SHARES: Final[tuple[str, ...]] = ("background", "style", "exact")
DRAWS: Final = 1000
#: Cells of one block of bootstrap weights: bounds the memory, 8 bytes each.
_BLOCK_CELLS: Final = 4_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A share between 0 and 1 with its 95 % interval; `low <= value <= high` always."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FactScore:
    """One kind of fact over all scenes: `right` of `said` facts are true, of `there` facts that there are."""

    precision: Figure
    recall: Figure
    f1: Figure
    right: int
    said: int
    there: int


@dataclass(frozen=True, slots=True)
class Scores:
    """All figures of one set of captions; fields of the five kinds of fact, then the three shares."""

    scenes: int
    noun: FactScore
    colour: FactScore
    position: FactScore
    relation: FactScore
    count: FactScore
    background: Figure
    style: Figure
    exact: Figure

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: figures as {"value", "low", "high"}."""
        facts = {name: getattr(self, name) for name in FACTS}
        table: dict[str, Any] = {"scenes": self.scenes}
        for name, fact in facts.items():
            table[name] = {part: _plain(getattr(fact, part)) for part in ("precision", "recall", "f1")}
            table[name] |= {"right": fact.right, "said": fact.said, "there": fact.there}
        return table | {name: _plain(getattr(self, name)) for name in SHARES}

    def table(self) -> str:
        """The figures as lines of text, intervals in brackets."""
        lines = [f"{self.scenes} scenes; 95 % intervals in brackets", f"{'':<12}{'precision':<24}{'recall':<24}F1"]
        for name in FACTS:
            fact: FactScore = getattr(self, name)
            lines.append(f"{name:<12}{_text(fact.precision):<24}{_text(fact.recall):<24}{_text(fact.f1)}")
        lines.append(f"{'':<12}share")
        lines.extend(f"{name:<12}{_text(getattr(self, name))}" for name in SHARES)
        return "\n".join(lines)


def score(pairs: Iterable[tuple[Scene, str]], seed: int = 0) -> Scores:
    """Scores captions against their scenes. Intervals come from 1,000 bootstrap draws of whole scenes from `seed`.

    A share of nothing is 1 where nothing was to be said and nothing was, else 0. Intervals of figures that no scene
    contradicts (all right, or all wrong) have no width: the bootstrap cannot tell how rare an unseen mistake is.
    Raises ValueError where there is no pair.
    """
    rows = [_row(scene, caption) for scene, caption in pairs]
    if not rows:
        raise ValueError("There is no caption to score.")
    table = np.array(rows, dtype=np.float64)
    totals = table.sum(axis=0)
    draws = _bootstrap(table, np.random.default_rng(seed))
    facts = [_fact_score(totals, draws, 3 * i) for i in range(len(FACTS))]
    first = 3 * len(FACTS)
    shares = [_figure(totals[i] / len(rows), draws[:, i] / len(rows)) for i in range(first, first + len(SHARES))]
    noun, colour, position, relation, count = facts
    background, style, exact = shares
    return Scores(len(rows), noun, colour, position, relation, count, background, style, exact)


def _row(scene: Scene, caption: str) -> list[int]:
    """(right, said, there) of each kind of fact, then 0 or 1 of each share."""
    said = parse(caption)
    row: list[int] = []
    for true, claimed in zip(_facts(scene), _facts(said), strict=True):
        row += [(true & claimed).total(), claimed.total(), true.total()]
    exact = caption.strip() == dense(scene)
    return [*row, said.background == scene.background, said.style == scene.style, exact]


def _facts(scene: Scene | ParsedScene) -> list[Counter[Any]]:
    """The facts of each kind, in the order of `FACTS`; what is not said is no fact."""
    things: tuple[Thing | PartialThing, ...] = scene.things
    relations: tuple[Relation, ...] = scene.relations
    nouns = Counter(thing.noun for thing in things)
    return [
        nouns,
        Counter((t.colour, t.noun) for t in things if t.colour is not None),
        Counter((t.noun, t.zone) for t in things if t.zone is not None),
        Counter((things[r.subject].noun, r.kind, things[r.object].noun) for r in relations),
        Counter(nouns.items()),
    ]


def _bootstrap(table: Floats, rng: np.random.Generator) -> Floats:
    """Column sums of `DRAWS` draws of rows with replacement -> (DRAWS, columns)."""
    rows = len(table)
    block = max(1, _BLOCK_CELLS // rows)
    sums = []
    for start in range(0, DRAWS, block):
        draws = min(block, DRAWS - start)
        chosen = rng.integers(rows, size=(draws, rows)) + rows * np.arange(draws)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=draws * rows).reshape(draws, rows)
        sums.append(weights.astype(np.float64) @ table)
    return np.concatenate(sums)


def _fact_score(totals: Floats, draws: Floats, column: int) -> FactScore:
    right, said, there = (int(total) for total in totals[column : column + 3])
    one, many = totals[None, column : column + 3], draws[:, column : column + 3]

    def figure(part: int) -> Figure:
        return _figure(_ratios(one)[part][0], _ratios(many)[part])

    return FactScore(figure(0), figure(1), figure(2), right, said, there)


def _ratios(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """(n, 3) sums of right, said, there -> precision, recall, F1, each (n,)."""
    right, said, there = sums.T
    nothing = np.where(said + there > 0, 0.0, 1.0)
    return (
        np.divide(right, said, out=nothing.copy(), where=said > 0),
        np.divide(right, there, out=nothing.copy(), where=there > 0),
        np.divide(2 * right, said + there, out=nothing.copy(), where=said + there > 0),
    )


def _figure(value: float, draws: Floats) -> Figure:
    low, high = np.quantile(draws, (0.025, 0.975))
    value = float(value)
    # In very small sets the value can lie a little outside the quantiles; an interval without it would be absurd.
    return Figure(value, min(float(low), value), max(float(high), value))


def _plain(figure: Figure) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def _text(figure: Figure) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
