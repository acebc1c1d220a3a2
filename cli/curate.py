"""`densify curate`: the samples that lift valid nouns most, and their keys. The choice is analysis/'s."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from analysis.curate_input import Read
    from analysis.tables import Counting


def curate(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Hand-off manifests, captioned shards, .jsonl, .parquet, .tsv, .csv, .txt, folders of .txt or .tar, "
            "- (standard input).",
        ),
    ],
    budget: Annotated[int, typer.Option("--budget", help="How many samples to choose.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the keys of the chosen samples as Parquet.")
    ] = None,
    cap: Annotated[int, typer.Option("--cap", help="Occurrences from which a noun adds nothing more.")] = 10,
    caps: Annotated[
        Path | None, typer.Option("--caps", metavar="FILE", help="Caps of single nouns: CSV of noun,cap or JSON.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option("--exclude", metavar="FILE", help="Nouns that do not count, one a line.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Name of the caption column; found by itself where it is clear.")
    ] = None,
    pipeline: Annotated[
        str, typer.Option("--pipeline", help="What finds nouns: `en`, `ko`, `auto`, or `spacy:NAME`.")
    ] = "en",
    lemma: Annotated[bool, typer.Option("--lemma", help="Count singular and plural as one noun.")] = False,
    no_propn: Annotated[bool, typer.Option("--no-propn", help="Leave proper nouns out.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Pass over lines that cannot be read.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random choices to compare with.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Choose the samples that lift valid nouns most, and show what a random choice of the same size gives."""
    from analysis import curate_report as report
    from analysis.curate import check_budget, choose
    from analysis.curate_input import caps_of, check_cap, read_caps, read_excluded
    from analysis.tables import Counting
    from cli.console import note, print_json, print_rich

    # Before any caption is read: tagging many takes a while.
    check_budget(budget)
    check_cap(cap)
    how = Counting(
        pipeline=pipeline,
        folding="lemma" if lemma else "lower",
        names=not no_propn,
        column=column,
        skip_bad=skip_bad,
    )
    by_noun = read_caps(caps) if caps else {}
    excluded = read_excluded(exclude) if exclude else frozenset()
    asked = report.Asked(tuple(map(str, paths)), budget, cap, by_noun, excluded, seed, how)
    read = read_with_meter(paths, how, excluded)
    limits = caps_of(read.samples, cap, by_noun)
    choice = choose(read.samples, limits, budget)
    if out is not None:
        report.write_keys(out, asked, read, choice)
    comparison = report.compare(read.samples, choice, limits, seed, how.min_count)
    if as_json:
        print_json(report.payload(asked, read, choice, comparison, out))
        return
    print_rich(report.render(asked, read, choice, comparison))
    if out is not None:
        note(f"{budget:,} keys: {out}")


def read_with_meter(paths: list[str], how: Counting, excluded: frozenset[str]) -> Read:
    """Everything to choose from, with the count of captions running along."""
    from analysis.curate_input import read_samples
    from cli.console import Meter

    with Meter("images") as meter:
        line = meter.line("reading", 0)
        try:
            return read_samples(paths, dataclasses.replace(how, progress=line.advance), excluded)
        finally:
            line.drop()
