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

from analysis.comparison import Compared, Comparison, compare
from analysis.density import Table
from analysis.gathered import Gathered
from analysis.html_figures import class_names, classes, cut, drawn, figures, label, shifts
from analysis.nouns import ENGLISH_NAME, load_pipeline
from analysis.rarefaction import Figure
from analysis.report import notes, roles
from analysis.shown import Card, cards
from analysis.tables import Counting, Measured
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

    `paths`: what was read, for pictures; `command`: the command line that makes this page.
    """

    data: Measured
    heard: Gathered
    how: Counting
    paths: Sequence[str | Path]
    command: str
    baseline: Measured | None = None
    heard_baseline: Gathered | None = None


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
    table = data.whole.table
    comparison = compare(data, baseline)
    shown = drawn(data, baseline)
    everything = list(roles(data, baseline))
    chosen = story.heard.chosen()
    return {
        "title": _title(data),
        "against": _title(baseline) if baseline else "",
        "lead": _lead(table, comparison),
        "tiles": _tiles(table, comparison),
        "comparison": comparison,
        "compared": [_compared(row) for row in comparison.rows[:TABLE_ROWS]] if comparison else [],
        "rows": [(label(role, row.name), _cells(row.table), role) for role, row in everything[:TABLE_ROWS]],
        "left_out": max(0, len(everything) - TABLE_ROWS),
        "min_count": table.min_count,
        "legend": [(each.look, each.label) for each in shown],
        "not_drawn": len(data.rows) + (len(baseline.rows) if baseline else 0) - len(shown),
        "figures": list(figures(shown, story.heard, story.heard_baseline, comparison)),
        "contrast": shifts(data, baseline),
        "classes": class_names(table.min_count),
        "shares": [(each.label, classes(each.row)) for each in shown],
        "cards": _cards(story),
        "all_cards": len(chosen) == story.heard.captions,
        "notes": [cut(note, LINE_CHARACTERS) for note in notes(data, baseline)[:TABLE_ROWS]],
        "command": cut(story.command, LINE_CHARACTERS),
        "versions": _versions(table.noun_pipeline),
        "own_pipeline": table.noun_pipeline == ENGLISH_NAME,
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
    )


def _title(measured: Measured) -> str:
    names = [cut(row.name) for row in measured.rows[:TITLE_NAMES]]
    return ", ".join(names) + (" and others" if len(measured.rows) > TITLE_NAMES else "")


# ---- words and figures ----------------------------------------------------------------------------------------------


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _is_pair(comparison: Comparison) -> bool:
    return [row.role for row in comparison.rows] == ["data", "baseline"]


def _lead(table: Table, comparison: Comparison | None) -> str:
    """What a reader takes along who reads nothing else."""
    if comparison is None:
        return (
            f"The captions of {_many(table.images, 'image')} have {_many(table.total_nouns, 'noun')}, "
            f"{table.nouns_per_image:.1f} on average. Of {_many(table.distinct_nouns, 'distinct noun')}, "
            f"{table.valid_nouns:,} ({table.valid_share:.1%}) are valid: they occur at least {table.min_count} times."
        )
    at = f"At {_many(comparison.images, 'image')} each, "
    if not _is_pair(comparison):
        best = max(comparison.rows, key=lambda row: row.estimate.valid_share.value)
        worst = min(comparison.rows, key=lambda row: row.estimate.valid_share.value)
        return (
            f"{at}{cut(best.name)} has the highest share of valid nouns among its distinct ones, "
            f"{best.estimate.valid_share.value:.1%}, and {cut(worst.name)} the lowest, "
            f"{worst.estimate.valid_share.value:.1%}. Valid are nouns that occur at least {table.min_count} times."
        )
    ours, theirs = comparison.rows
    here, there = ours.estimate.valid_share, theirs.estimate.valid_share
    apart = here.low > there.high or here.high < there.low
    return (
        f"A caption here has {ours.nouns_per_image:.1f} nouns on average, one of the baseline "
        f"{theirs.nouns_per_image:.1f}. {at}{here.value:.1%} of the distinct nouns here are valid, in the baseline "
        f"{there.value:.1%}: they occur at least {table.min_count} times. The 95 % intervals of the two shares "
        + ("lie apart." if apart else "overlap: the difference may be chance.")
    )


def _tiles(table: Table, comparison: Comparison | None) -> list[tuple[str, str, str]]:
    """(heading, figure, words below); none for many data sets, which have no figure in common."""
    if comparison is None:
        return [
            ("nouns per image", f"{table.nouns_per_image:.1f}", f"in {_many(table.images, 'image')}"),
            ("valid share (VN/DN)", f"{table.valid_share:.1%}", "of the distinct nouns are valid"),
            ("valid nouns (VN)", f"{table.valid_nouns:,}", f"with at least {table.min_count} occurrences"),
            ("distinct nouns (DN)", f"{table.distinct_nouns:,}", f"in {_many(table.total_nouns, 'noun')}"),
        ]
    if not _is_pair(comparison):
        return []
    ours, theirs = comparison.rows
    here, there = ours.estimate, theirs.estimate
    at = f"at {_many(comparison.images, 'image')} each"
    return [
        ("nouns per image", f"{ours.nouns_per_image:.1f}", f"baseline {theirs.nouns_per_image:.1f}"),
        ("valid share (VN/DN)", f"{here.valid_share.value:.1%}", f"baseline {there.valid_share.value:.1%}, {at}"),
        ("valid nouns (VN)", f"{here.valid.value:,.0f}", f"baseline {there.valid.value:,.0f}, {at}"),
        ("distinct nouns (DN)", f"{here.distinct.value:,.0f}", f"baseline {there.distinct.value:,.0f}, {at}"),
    ]


def _compared(row: Compared) -> tuple[str, list[tuple[str, str]], str]:
    """(name, (figure, interval) by column, role)."""
    found = row.estimate
    share = found.valid_share
    cells = [
        _interval(found.valid),
        _interval(found.distinct),
        (f"{share.value:.1%}", f"{share.low:.1%} – {share.high:.1%}"),
        (f"{row.nouns_per_image:.2f}", ""),
    ]
    return label(row.role, row.name), cells, row.role


def _interval(figure: Figure) -> tuple[str, str]:
    return f"{figure.value:,.0f}", f"{figure.low:,.0f} – {figure.high:,.0f}"


def _cells(table: Table) -> list[str]:
    return [
        f"{table.images:,}",
        f"{table.valid_nouns:,}",
        f"{table.distinct_nouns:,}",
        f"{table.valid_share:.1%}",
        f"{table.valid_nouns_over:,} ({table.valid_share_over:.1%})",
        f"{table.total_nouns:,}",
        f"{table.nouns_per_image:.2f}",
        f"{table.words_per_image:.1f}",
        f"{table.images_without_noun:,}",
    ]


def _versions(pipeline: str) -> list[tuple[str, str]]:
    packages = ["spacy"] if pipeline == ENGLISH_NAME or pipeline.startswith("spacy:") else []
    return [("Densify", VERSION), ("noun pipeline", pipeline)] + [(name, version(name)) for name in packages]
