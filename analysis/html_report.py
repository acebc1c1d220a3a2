"""The density report as one HTML file that needs nothing else: what goes in, and the making of it.

The figures are those of the JSON report (report.py), comparison at equal numbers of images first. The same captions
give the same bytes: no date, no machine. Leaves out: the looks (html_report.html), the plots (plots.py) and what is
gathered of the captions (gathered.py, shown.py). Serves `densify density --html` and the demo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.cells import (
    EQUAL_HEADINGS,
    PAPER_HEADINGS,
    cells,
    equal_cells,
    headings,
    paper_cells,
    seen_cells,
    seen_headings,
)
from analysis.comparison import Comparison, compare
from analysis.gathered import Gathered
from analysis.html_figures import class_names, classes, cut, drawn, figures, label, shifts
from analysis.nouns import ENGLISH_NAME, load_pipeline
from analysis.paper import PAPER, PAPER_TITLE
from analysis.report import compare_seen, notes, roles
from analysis.shown import Card, cards
from analysis.tables import Counting, Measured, Row
from analysis.threshold import Threshold
from analysis.truncation import Loss
from core.files import write_atomic
from core.version import VERSION

TEMPLATE = "html_report.html"
#: Rows of one table; more would be no report but a list, which `--json` and `--csv` are.
TABLE_ROWS = 60
#: Names in the title.
TITLE_NAMES = 3
#: Characters shown of the command line, and of one note.
LINE_CHARACTERS = 1_500


@dataclass(frozen=True)
class Story:
    """What is told: the data and what was gathered of its captions, the same of the baseline, and how it was counted.

    `paths`: what was read, for pictures; `command`: the command line that makes this page; `paper`: whether the rows
    that PixArt-alpha published are shown.
    """

    data: Measured
    heard: Gathered
    how: Counting
    paths: Sequence[str | Path]
    command: str
    baseline: Measured | None = None
    heard_baseline: Gathered | None = None
    paper: bool = False


def write_html(file: Path, story: Story) -> None:
    """Writes the page; the file appears whole or not at all. Raises StorageError, StorageFullError."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(TEMPLATE).render(**_contents(story))
    # Half of a surrogate pair, from a JSON escape or a file's name, has no UTF-8.
    write_atomic(file, page.encode(errors="replace"))


def _contents(story: Story) -> dict[str, Any]:
    data, baseline = story.data, story.baseline
    valid, loss = data.valid, data.whole.loss
    # Where captions were cut, what is read of them leads, as in the terminal; the plots are of whole captions.
    leads = data.seen or data
    comparison = compare_seen(data, baseline) if data.seen else compare(data, baseline)
    whole_comparison = compare(data, baseline)
    shown = drawn(data, baseline)
    everything = list(roles(data, baseline))
    return {
        "title": _title(data),
        "against": _title(baseline) if baseline else "",
        "lead": _read(loss) + _lead(leads.whole, comparison, valid),
        "tiles": _tiles(leads.whole, comparison, valid),
        "loss": loss,
        "seen_headings": seen_headings(valid),
        "seen": [
            (label(role, row.name), found, role)
            for role, row in everything[:TABLE_ROWS]
            if (found := seen_cells(row, valid))
        ],
        "comparison": comparison,
        "equal_headings": EQUAL_HEADINGS,
        "compared": [
            (label(row.role, row.name), equal_cells(row, valid), row.role)
            for row in (comparison.rows[:TABLE_ROWS] if comparison else ())
        ],
        "headings": headings(valid),
        "rows": [(label(role, row.name), cells(row, valid), role) for role, row in everything[:TABLE_ROWS]],
        "left_out": max(0, len(everything) - TABLE_ROWS),
        "valid": valid,
        "paper_title": PAPER_TITLE,
        "paper_headings": PAPER_HEADINGS,
        "paper": [(row.name, paper_cells(row)) for row in PAPER] if story.paper else [],
        "legend": [(each.look, each.label) for each in shown],
        "not_drawn": len(data.rows) + (len(baseline.rows) if baseline else 0) - len(shown),
        "figures": list(figures(shown, story.heard, story.heard_baseline, whole_comparison, valid)),
        "contrast": shifts(data, baseline),
        "classes": class_names(valid.least),
        "shares": [(each.label, classes(each.row, valid.least)) for each in shown],
        "tail": data.whole.tail,
        "cards": _cards(story),
        "all_cards": len(story.heard.chosen()) == story.heard.captions,
        "notes": [cut(note, LINE_CHARACTERS) for note in notes(data, baseline)[:TABLE_ROWS]],
        "command": cut(story.command, LINE_CHARACTERS),
        "versions": _versions(data.whole.table.noun_pipeline),
        "own_pipeline": data.whole.table.noun_pipeline == ENGLISH_NAME,
    }


def _cards(story: Story) -> list[Card]:
    # The number of a line may be a key in two files without meaning the same picture.
    numbered = story.data.whole.reading.numbered or (story.baseline and story.baseline.whole.reading.numbered)
    return cards(
        story.heard.chosen(),
        load_pipeline(story.how.pipeline),
        names=story.how.names,
        paths=story.paths,
        baseline=None if numbered else story.heard_baseline,
        trainer=story.how.trainer,
    )


def _title(measured: Measured) -> str:
    names = [cut(row.name) for row in measured.rows[:TITLE_NAMES]]
    return ", ".join(names) + (" and others" if len(measured.rows) > TITLE_NAMES else "")


# ---- words and figures ----------------------------------------------------------------------------------------------


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _is_pair(comparison: Comparison) -> bool:
    return [row.role for row in comparison.rows] == ["data", "baseline"]


def _read(loss: Loss | None) -> str:
    return f"Of captions as a trainer reads them, cut after {loss.tokens:,} tokens: " if loss else ""


def _lead(whole: Row, comparison: Comparison | None, valid: Threshold) -> str:
    """What a reader takes along who reads nothing else."""
    table = whole.table
    if comparison is None:
        nouns, share = valid.of(table)
        return (
            f"The captions of {_many(table.images, 'image')} have {_many(table.total_nouns, 'noun')}, "
            f"{table.nouns_per_image:.1f} on average. Of {_many(table.distinct_nouns, 'distinct noun')}, "
            f"{nouns:,} ({share:.1%}) are valid: they occur {valid.words} times."
        )
    at = f"At {_many(comparison.images, 'image')} each, "
    shares = {row: valid.expected(row.estimate)[1] for row in comparison.rows}
    if not _is_pair(comparison):
        best = max(shares, key=lambda row: shares[row].value)
        worst = min(shares, key=lambda row: shares[row].value)
        return (
            f"{at}{cut(best.name)} has the highest share of valid nouns among its distinct ones, "
            f"{shares[best].value:.1%}, and {cut(worst.name)} the lowest, {shares[worst].value:.1%}. "
            f"Valid are nouns that occur {valid.words} times."
        )
    ours, theirs = comparison.rows
    here, there = shares[ours], shares[theirs]
    apart = here.low > there.high or here.high < there.low
    return (
        f"A caption here has {ours.nouns_per_image:.1f} nouns on average, one of the baseline "
        f"{theirs.nouns_per_image:.1f}. {at}{here.value:.1%} of the distinct nouns here are valid, in the baseline "
        f"{there.value:.1%}: they occur {valid.words} times. The 95 % intervals of the two shares "
        + ("lie apart." if apart else "overlap: the difference may be chance.")
    )


def _tiles(whole: Row, comparison: Comparison | None, valid: Threshold) -> list[tuple[str, str, str]]:
    """(heading, figure, words below); none for many data sets, which have no figure in common."""
    if comparison is None:
        table = whole.table
        found, found_share = valid.of(table)
        return [
            ("nouns per image", f"{table.nouns_per_image:.1f}", f"in {_many(table.images, 'image')}"),
            ("valid share (VN/DN)", f"{found_share:.1%}", "of the distinct nouns are valid"),
            ("valid nouns (VN)", f"{found:,}", f"with {valid.words} occurrences"),
            ("distinct nouns (DN)", f"{table.distinct_nouns:,}", f"in {_many(table.total_nouns, 'noun')}"),
        ]
    if not _is_pair(comparison):
        return []
    ours, theirs = comparison.rows
    (nouns, share), (their_nouns, their_share) = valid.expected(ours.estimate), valid.expected(theirs.estimate)
    distinct, their_distinct = ours.estimate.distinct, theirs.estimate.distinct
    at = f"at {_many(comparison.images, 'image')} each"
    return [
        ("nouns per image", f"{ours.nouns_per_image:.1f}", f"baseline {theirs.nouns_per_image:.1f}"),
        ("valid share (VN/DN)", f"{share.value:.1%}", f"baseline {their_share.value:.1%}, {at}"),
        ("valid nouns (VN)", f"{nouns.value:,.0f}", f"baseline {their_nouns.value:,.0f}, {at}"),
        ("distinct nouns (DN)", f"{distinct.value:,.0f}", f"baseline {their_distinct.value:,.0f}, {at}"),
    ]


def _versions(pipeline: str) -> list[tuple[str, str]]:
    packages = ["spacy"] if pipeline == ENGLISH_NAME or pipeline.startswith("spacy:") else []
    return [("Densify", VERSION), ("noun pipeline", pipeline)] + [(name, version(name)) for name in packages]
