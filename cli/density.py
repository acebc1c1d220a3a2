"""`densify density`: the table of valid and distinct nouns over any captions. The counting is analysis/'s."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from analysis.nouns_file import Add
    from analysis.tables import Counting, Measured


class Profile(StrEnum):
    """How to count: Densify's own way, or the paper's as far as it is told."""

    densify = "densify"
    paper = "paper"


#: Where the command line as it was typed is kept until the page shows it.
COMMAND = "densify.command"


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
        # What was typed, for reports that say how they were made.
        ctx.meta[COMMAND] = shlex.join(["densify", "density", *args])
        parsed: list[str] = super().parse_args(ctx, spread)
        return parsed


def density(
    context: typer.Context,
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
        int | None,
        typer.Option("--min-count", min=1, show_default="10", help="Occurrences from which a distinct noun is valid."),
    ] = None,
    pipeline: Annotated[
        str, typer.Option("--pipeline", help="What finds nouns: `en`, `ko`, `auto`, or `spacy:NAME`, installed.")
    ] = "en",
    lemma: Annotated[bool, typer.Option("--lemma", help="Count singular and plural as one noun.")] = False,
    no_propn: Annotated[bool, typer.Option("--no-propn", help="Leave proper nouns out.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Pass over lines that cannot be read.")] = False,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens",
            metavar="N",
            help="Lead with what a trainer reads: N tokens of a caption. CLIP 77, PixArt-alpha 120, PixArt-sigma 300.",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", metavar="ID", help="The trainer's tokenizer for --tokens: hub id or folder."),
    ] = None,
    profile: Annotated[
        Profile,
        typer.Option(
            "--profile",
            help="`paper`: as PixArt-alpha seems to have counted, forms as written and VN from more than 10.",
        ),
    ] = Profile.densify,
    tail: Annotated[
        int,
        typer.Option(
            "--tail",
            metavar="N",
            min=0,
            help="Show the long tail: nouns seen once, 2-4 and 5-9 times, N of each with a caption that has them.",
        ),
    ] = 0,
    nouns: Annotated[
        Path | None, typer.Option("--nouns", metavar="FILE", help="Write what was counted as JSON lines.")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Print the rows of PixArt-alpha's table above yours.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows as CSV too.")] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the report as one HTML file, with plots and captions."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure concept density: distinct and valid nouns, their share, nouns per image.

    Shards that are named together are one data set; every other path is a row of its own. A baseline adds which nouns
    were gained and lost. --tokens and --tokenizer go together.
    """
    from analysis import report
    from analysis.density import MIN_COUNT
    from analysis.gathered import Gathered
    from analysis.tables import Counting, check_paths
    from analysis.truncation import truncation
    from cli.console import print_json, print_rich

    if profile is Profile.paper:
        check_profile({"--lemma": lemma, "--no-propn": no_propn, "--min-count": min_count is not None})
    how = Counting(
        pipeline=pipeline,
        folding="raw" if profile is Profile.paper else "lemma" if lemma else "lower",
        names=not no_propn,
        min_count=MIN_COUNT if min_count is None else min_count,
        column=column,
        skip_bad=skip_bad,
        profile=profile.value,
        trainer=truncation(tokenizer, tokens),
        tail=tail,
    )
    # Before any caption is read: counting many takes a while.
    check_paths([*paths, *(baseline or [])], how)
    heard = Gathered(names=how.names) if html else None
    data = measured(paths, how, nouns, heard)
    heard_baseline = Gathered(names=how.names, wanted=heard.keys()) if heard and baseline else None
    against = measured(baseline, how, told=heard_baseline) if baseline else None
    if csv_file is not None:
        report.write_csv(csv_file, data, against)
    if html is not None and heard is not None:
        from analysis.html_report import Story, write_html

        write_html(html, Story(data, heard, how, paths, context.meta[COMMAND], against, heard_baseline, paper))
    if as_json:
        print_json(report.payload(data, against))
    else:
        print_rich(report.render(data, against, paper=paper))


def check_profile(given: dict[str, bool]) -> None:
    """Raises BadFieldError where an option of these was given: the paper's way of counting leaves them no choice."""
    from core.errors import BadFieldError

    contrary = [option for option, is_given in given.items() if is_given]
    if contrary:
        raise BadFieldError(
            f"--profile paper counts forms as written, names too, VN from more than 10: {' and '.join(contrary)} would "
            "change that.",
            hint=f"Leave {' and '.join(contrary)} out, or leave the profile out and count in your own way.",
        )


def measured(paths: list[str], how: Counting, nouns: Path | None = None, told: Add | None = None) -> Measured:
    """The rows of some paths, with the count of captions running along.

    `nouns`: file of what was counted; `told`: hears of every caption.
    """
    import contextlib
    import dataclasses

    from analysis.nouns_file import nouns_file
    from analysis.tables import measure_paths
    from cli.console import Meter

    with contextlib.ExitStack() as stack:
        hearers = [told] if told else []
        if nouns:
            hearers.append(stack.enter_context(nouns_file(nouns)))
        line = stack.enter_context(Meter("images")).line("counting", 0)
        stack.callback(line.drop)
        return measure_paths(paths, dataclasses.replace(how, progress=line.advance, told=told_to(hearers)))


def told_to(hearers: list[Add]) -> Add | None:
    """One function that tells them all; None where there are none."""

    def tell(key: str, text: str, nouns: Any) -> None:
        for hear in hearers:
            hear(key, text, nouns)

    return tell if hearers else None
