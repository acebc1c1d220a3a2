"""`densify worker`: captioning workers of this machine. What they do is in workers/."""

from __future__ import annotations

import typer


def worker() -> None:
    """Run captioning workers: one process per visible GPU, or one on the CPU.

    They share DENSIFY_DATA, DENSIFY_LEDGER and DENSIFY_BROKER with the service. Ctrl-C or SIGTERM ends them and loses
    nothing: chunks under way go back to the ledger.
    """
    from core.logs import configure
    from core.settings import get_settings
    from workers.launch import run

    settings = get_settings()
    configure(settings.log_level)
    code = run(settings)
    if code:
        raise typer.Exit(code)
