"""`densify density`: the table of valid and distinct nouns over any captions. The counting is analysis/'s."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from analysis.tables import Counting, Measured


class GreedyBaseline(TyperCommand):
    """`--baseline` takes every path up to the next option, so that `--baseline raw-*.tar` means what it says."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        greedy = False
        for argument in args:
            if greedy and not (argument.startswith("-") and argument != "-"):
                spread += ["--baseline", argument]
                continue
            greedy = argument == "--baseline"
            if not greedy:
                spread.append(argument)
        parsed: list[str] = super().parse_args(ctx, spread)
        return parsed


def density(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Captioned shards, .jsonl, .parquet, .tsv, .csv, .txt, folders of .txt or .tar, - (standard input).",
        ),
    ],
    baseline: Annotated[
        list[str] | None, typer.Option("--baseline", metavar="PATH...", help="What to compare with, each one a row.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Name of the caption column; found by itself where it is clear.")
    ] = None,
    min_count: Annotated[
        int, typer.Option("--min-count", min=1, help="Occurrences from which a distinct noun is valid.")
    ] = 10,
    pipeline: Annotated[
        str, typer.Option("--pipeline", help="What finds nouns: `en`, or `spacy:NAME` for an installed pipeline.")
    ] = "en",
    lemma: Annotated[bool, typer.Option("--lemma", help="Count singular and plural as one noun.")] = False,
    no_propn: Annotated[bool, typer.Option("--no-propn", help="Leave proper nouns out.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Pass over lines that cannot be read.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows as CSV too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure concept density: distinct and valid nouns, their share, nouns per image.

    Shards that are named together are one data set; every other path is a row of its own.
    """
    from analysis import report
    from analysis.tables import Counting
    from cli.console import print_json, print_rich

    how = Counting(
        pipeline=pipeline,
        folding="lemma" if lemma else "lower",
        names=not no_propn,
        min_count=min_count,
        column=column,
        skip_bad=skip_bad,
    )
    data = measured(paths, how)
    against = measured(baseline, how) if baseline else None
    if csv_file is not None:
        report.write_csv(csv_file, data, against)
    if as_json:
        print_json(report.payload(data, against))
    else:
        print_rich(report.render(data, against))


def measured(paths: list[str], how: Counting) -> Measured:
    """The rows of some paths, with the count of captions running along."""
    import dataclasses

    from analysis.tables import measure_paths
    from cli.console import Meter

    with Meter("images") as meter:
        line = meter.line("counting", 0)
        try:
            return measure_paths(paths, dataclasses.replace(how, progress=line.advance))
        finally:
            line.drop()
