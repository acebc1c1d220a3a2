"""`densify`: the list of commands, what `--help` teaches, and how an error is told.

Every command's body imports what it needs when it runs: `densify --help` loads neither torch nor spaCy nor FastAPI.
An error of the tree becomes "error: …" and "hint: …" on standard error and the exit code of its class; anything else
becomes one line, with the traceback where DENSIFY_LOG_LEVEL=DEBUG asks for it.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from cli import (
    caption,
    curate,
    demo,
    density,
    doctor,
    evaluate,
    handoff,
    key,
    release,
    sample,
    serve,
    status,
    train,
    upload,
    verify,
    worker,
)
from core.errors import DensifyError

HELP = """\
Turns image shards into text-to-image training data whose concept density is measured and proven.

The way of a shard: upload → captions by LLaVA → density → gates → hand-off → proof.

\b
See all of it on this machine, in a minute:
  densify demo

\b
The main job, in one process (API and worker; nothing else is needed):
  export DENSIFY_MODEL=llava-hf/llava-1.5-7b-hf    # or a folder
  densify serve --embedded

\b
Then, in another terminal:
  densify upload shop train-*.tar --wait    # WebDataset tars in
  densify status shop                       # what is done, images/s, ETA
  densify handoff shop --out handoff/       # captioned shards and manifest
  densify verify handoff/                   # in = captioned + rejected

\b
From a hand-off to pictures:
  densify train demo-2 data.handoff=handoff/handoffs/….json --out run/
  densify sample run/ --prompt 'a red boat on the sea' --out boat.png

\b
Without a service:
  densify caption train-*.tar --out captioned/
  densify density captions.jsonl --baseline alt_texts.jsonl
  densify curate captions.jsonl --budget 10000 --out keys.parquet

Many machines: Redis, PostgreSQL, `densify serve`, and `densify worker` where the GPUs are (docs/operations.md).

Settings are DENSIFY_ variables (docs/settings.md). `densify doctor` tells what is missing.

Exit codes: 0 done, 1 a check or gate said no or a part failed, 2 the call or its input is wrong.
"""


def report(error: DensifyError) -> int:
    """Tells an error of the tree on standard error and returns its exit code."""
    print(f"error: {error.sentence}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_code


def report_unexpected(error: Exception) -> int:
    """Tells an error that nobody foresaw in one line; the traceback is there for who asks."""
    if os.environ.get("DENSIFY_LOG_LEVEL", "").upper() == "DEBUG":
        traceback.print_exception(error, file=sys.stderr)
    text = " ".join(str(error).split()) or "no further words"
    print(f"error: {type(error).__name__}: {text}", file=sys.stderr)
    print("hint: This is a fault of Densify; DENSIFY_LOG_LEVEL=DEBUG shows where.", file=sys.stderr)
    return 1


class Group(TyperGroup):
    """Typer's group of commands, with errors told as above. In a class so that tests see what a terminal sees."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DensifyError as error:
            raise typer.Exit(report(error)) from error
        except Exception as error:
            if _is_typers(error) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise  # exits, usage errors, and `densify status | head`: Typer ends quietly
            raise typer.Exit(report_unexpected(error)) from error


def _is_typers(error: Exception) -> bool:
    """Whether Typer, or the Click below it, raised this for itself."""
    return any(kind.__module__.split(".")[0] in ("typer", "click") for kind in type(error).__mro__)


app = typer.Typer(
    cls=Group,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MAIN_JOB, TRAINING = "The main job", "Training"
LOCAL, SERVICE = "Without a service", "Running the service"

app.command(rich_help_panel=MAIN_JOB)(upload.upload)
app.command(rich_help_panel=MAIN_JOB)(status.status)
app.command(rich_help_panel=MAIN_JOB)(release.release)
app.command(rich_help_panel=MAIN_JOB)(handoff.handoff)
app.command(rich_help_panel=MAIN_JOB)(verify.verify)
app.command(rich_help_panel=TRAINING)(train.train)
app.command(rich_help_panel=TRAINING)(sample.sample)
app.command(rich_help_panel=TRAINING)(evaluate.evaluate)
app.command(rich_help_panel=LOCAL)(demo.demo)
app.command(rich_help_panel=LOCAL)(caption.caption)
app.command(rich_help_panel=LOCAL, cls=density.GreedyBaseline)(density.density)
app.command(rich_help_panel=LOCAL)(curate.curate)
app.command(rich_help_panel=SERVICE)(serve.serve)
app.command(rich_help_panel=SERVICE)(worker.worker)
app.command(rich_help_panel=SERVICE)(doctor.doctor)
app.add_typer(key.app, name="key", rich_help_panel=SERVICE)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"densify {version('densify')}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    # No docstring: the application's help is HELP.
    del version


def main() -> None:
    """The console script `densify`."""
    app(prog_name="densify")


if __name__ == "__main__":
    main()
