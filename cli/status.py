"""`densify status`: data sets, or the shards of one: state, counts, images/s, time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson, Url

if TYPE_CHECKING:
    from cli.client import Client


def status(
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="Name of a data set; without it all are listed.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again until no shard has work left.")] = False,
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks with --watch.")] = 2.0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show data sets, or the shards of one: state, counts, images/s, time left."""
    from cli.client import Client
    from cli.console import print_json
    from core.settings import get_settings

    with Client.from_settings(get_settings(), url) as client:
        while True:
            view = look(client, dataset)
            if as_json:
                print_json(view)
            elif dataset is None:
                show_datasets(view)
            else:
                show_dataset(view)
            if not watch or not busy(view):
                return
            time.sleep(every_s)


def look(client: Client, dataset: str | None) -> dict[str, Any]:
    """What the service says of one data set, or of all."""
    if dataset is None:
        names = [item["name"] for item in client.datasets()]
        return {"datasets": [{"name": name, "progress": client.progress(name)} for name in names]}
    return {
        "name": dataset,
        "progress": client.progress(dataset),
        "shards": list(client.shards(dataset)),
    }


def busy(view: dict[str, Any]) -> bool:
    from cli.upload import unfinished

    return any(unfinished(part["progress"]) for part in view.get("datasets", [view]))


def show_datasets(view: dict[str, Any]) -> None:
    from cli.console import note, print_table, seconds_text

    if not view["datasets"]:
        note("No data set yet: `densify upload DATASET SHARD…` makes one.")
        return
    rows = []
    for item in view["datasets"]:
        progress = item["progress"]
        rows.append(
            [
                item["name"],
                str(sum(progress["shards"].values())),
                states_text(progress["shards"]),
                str(progress["samples"]),
                str(progress["captioned"]),
                str(progress["rejected"]),
                f"{progress['images_per_s']:.1f}",
                seconds_text(progress["eta_s"]),
            ]
        )
    columns = ["data set", "shards", "states", "samples", "captioned", "rejected", "images/s", "left"]
    print_table("", columns, rows, text=("data set", "states"))


def show_dataset(view: dict[str, Any]) -> None:
    from cli.console import bytes_text, note, print_table, seconds_text

    progress = view["progress"]
    rows = [
        [
            shard["name"],
            shard["state"],
            bytes_text(shard.get("size_bytes") or 0),
            *(str(shard.get(field) if shard.get(field) is not None else "-") for field in COUNTS),
            why(shard),
        ]
        for shard in view["shards"]
    ]
    print_table(view["name"], ["shard", "state", "size", *COUNTS, "why"], rows, text=("shard", "state", "why"))
    done = progress["captioned"] + progress["rejected"]
    speed = f"{progress['images_per_s']:.1f} images/s, {seconds_text(progress['eta_s'])} left"
    note(
        f"{done} of {progress['samples']} samples: {progress['captioned']} captioned, {progress['rejected']} rejected, "
        f"{progress['flagged']} flagged; {speed}"
    )


#: Fields of a shard that are counts.
COUNTS = ("samples", "captioned", "rejected", "flagged")


def states_text(states: dict[str, int]) -> str:
    """`{"captioning": 2, "accepted": 1, "held": 0}` → `captioning 2, accepted 1`."""
    return ", ".join(f"{state} {count}" for state, count in states.items() if count)


def why(shard: dict[str, Any]) -> str:
    """Why a shard is held, quarantined or let through, in the service's words."""
    if shard.get("release_reason"):
        return f"released: {shard['release_reason']}"
    return " ".join([*shard.get("findings", []), shard.get("sentence") or ""]).strip()
