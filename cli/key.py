"""`densify key create|list|revoke`: API keys, straight in the ledger. Only hashes are kept; a key is shown once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson

if TYPE_CHECKING:
    from ledger import Ledger

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the key is for, for example a person or a machine.")]


@contextmanager
def _ledger() -> Iterator[Ledger]:
    from core.settings import get_settings
    from ledger import Ledger

    settings = get_settings()
    if settings.data_folder is not None:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.ledger_url)
    try:
        ledger.create()
        yield ledger
    finally:
        ledger.close()


@app.command()
def create(name: Name, as_json: AsJson = False) -> None:
    """Make a key and print it, once: it cannot be shown again."""
    from cli.console import note, print_json

    with _ledger() as ledger:
        _, key_text = ledger.create_key(name)
    if as_json:
        print_json({"name": name, "key": key_text})
        return
    print(key_text)
    note(f"The key of {name}. Keep it now: only its hash is stored. Send it as DENSIFY_API_KEY, or as a bearer token.")


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys: name, first letters, when each was made, last used and revoked."""
    from cli.console import print_json, print_table

    with _ledger() as ledger:
        keys = ledger.list_keys()
    if as_json:
        print_json({"items": [asdict(key) for key in keys]})
        return
    rows = [
        [key.name, key.prefix, when_text(key.created_at), when_text(key.last_used_at), when_text(key.revoked_at)]
        for key in keys
    ]
    print_table("", ["name", "begins", "made", "last used", "revoked"], rows, text=("name", "begins"))


@app.command()
def revoke(name: Name) -> None:
    """Revoke the keys of this name; the service refuses them from the next request on."""
    with _ledger() as ledger:
        count = ledger.revoke_key(name)
    print(f"revoked {count} {'key' if count == 1 else 'keys'} of {name}")


def when_text(epoch_s: float | None) -> str:
    """A moment in UTC, to the minute; `-` for never."""
    return "-" if epoch_s is None else f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M} UTC"
