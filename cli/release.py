"""`densify release`: accepts a shard that a gate held, on a person's word, which is recorded."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJson, Dataset, Url


def release(
    dataset: Dataset,
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="Name of the held shard, without .tar.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is accepted all the same; kept in the ledger.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Accept a shard that a gate held; the reason is recorded."""
    from cli.client import Client
    from cli.console import print_json
    from core.settings import get_settings

    with Client.from_settings(get_settings(), url) as client:
        answer = client.release(dataset, shard, reason)
    if as_json:
        print_json(answer)
    else:
        print(f"{shard} is {answer.get('state', 'accepted')}: {reason}")
