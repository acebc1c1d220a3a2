"""Options that several commands share, told once: the service's URL, JSON output."""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[
    str | None, typer.Option("--url", help="The service; without it DENSIFY_URL, else http://127.0.0.1:8000.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Name of the data set.")]
