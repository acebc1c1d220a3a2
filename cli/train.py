"""`densify train`: a recipe becomes a model. The training is training/'s; here it is started and told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson

if TYPE_CHECKING:
    from PIL import Image

    from cli.console import Line, Meter
    from training.board import Board
    from training.loop import Told
    from training.prepare import Prepared
    from training.previews import Previews
    from training.validation import Measured, Validation

LOG = "log.jsonl"


def _print_sizes(asked: bool) -> None:
    if not asked:
        return
    from cli.console import print_table
    from training.models import count_sizes

    rows = [
        (name, f"{size.layers}", f"{size.heads}", f"{size.width}", f"{size.text}", f"{pixart:,}", f"{dit:,}")
        for name, size, pixart, dit in count_sizes()
    ]
    print_table(
        "Sizes, with 4 latent channels and no learnt variance; a DiT has 1,000 classes",
        ("size", "layers", "heads", "width", "text", "pixart: parameters", "dit: parameters"),
        rows,
    )
    raise typer.Exit


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of one that ships.")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE...", help="Changes: run.steps=100 data.handoff=m.json.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The run's folder; called again, it goes on where it stopped.")
    ] = Path("run"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take: samples, waste, memory, time. Trains nothing.")
    ] = False,
    sizes: Annotated[
        bool,
        typer.Option(
            "--sizes", callback=_print_sizes, is_eager=True, help="List the sizes of model.size, and end; no RECIPE."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on a hand-off, by a recipe.

    Several GPUs: `torchrun --nproc-per-node 8 -m cli.main train RECIPE`, or `accelerate launch`.
    """
    del sizes
    from cli.console import note, print_json, print_table
    from training import processes, recipe_files
    from training.preflight import preflight
    from training.prepare import prepare
    from training.previews import Previews
    from training.start import PIPELINE
    from training.validation import Validation

    began = time.monotonic()
    asked = recipe_files.load(recipe, changes or [])
    device = processes.device()
    if dry_run:
        with FeatureMeter() as meter:
            found = preflight(asked, meter, device)
        if not processes.is_first():
            return
        if as_json:
            print_json(found.as_dict())
        else:
            print_table(f"{recipe}: what it would take", ("", ""), found.rows(), text=("",))
        return
    with FeatureMeter() as meter:
        made = prepare(asked, out, meter, device, say=note)
        validation = Validation(made, out, meter) if asked.validation.every else None
    learn(made, out, validation, Previews(made, out) if asked.previews.every else None)
    if not processes.is_first():
        return
    note(next_step(made, out))
    if as_json:
        print_json(_outcome(out, out / PIPELINE, time.monotonic() - began))
    else:
        print(out / PIPELINE)


def learn(made: Prepared, out: Path, validation: Validation | None = None, previews: Previews | None = None) -> None:
    """Trains to the recipe's last step in the run's folder, and saves what draws. All processes must call it."""
    from training import processes, recipe_files
    from training.lineage import claim
    from training.pipelines import save_pipeline

    if processes.is_first():
        if claim(out, made.lineage):
            (out / LOG).unlink(missing_ok=True)
        (out / "recipe.yaml").write_text(recipe_files.dump(made.recipe))
    processes.wait()
    with run(made, out, validation, previews).averaged() as model:
        if processes.is_first():
            save_pipeline(out, made, model)


def next_step(made: Prepared, out: Path) -> str:
    """What the run's result is for, as a command."""
    if made.recipe.method == "classifier":
        return f"Guide a DiT with it: densify sample RUN --class '…' --classifier {out} --classifier-scale 1"
    return f"Draw with it: densify sample {out} {'--prompt' if made.recipe.method == 'pixart' else '--class'} '…'"


def run(made: Prepared, out: Path, validation: Validation | None, previews: Previews | None) -> Any:
    """Trains to the recipe's last step, with a bar that runs along; returns the loop."""
    from cli.console import Meter
    from core.errors import TrainingStoppedError
    from training.loop import Loop

    def measure(step: int, model: Any) -> None:
        assert validation is not None, "it is watched where it is there"
        found = validation.measure(model)
        if loop.accelerator.is_main_process:
            observer.measured(step, found)

    def draw(step: int, model: Any) -> None:
        assert previews is not None, "they are watched where they are there"
        if loop.accelerator.is_main_process:
            observer.drew(step, previews.draw(step, model))

    recipe = made.recipe
    watches = (
        (recipe.validation.every if validation else 0, measure),
        (recipe.previews.every if previews else 0, draw),
    )
    with Meter("images") as meter:
        observer = Observer(meter, recipe.run.steps, recipe.run.batch, out)
        loop = Loop(recipe, made.task, made.epochs, out, observer, watches)
        if loop.accelerator.is_main_process:
            observer.begin(loop.states.newest() or 0)
        try:
            loop.run()
            observer.finish()
        except TrainingStoppedError as stopped:
            hint = way_on(loop, made, out)
            raise TrainingStoppedError(stopped.sentence, hint=f"{stopped.hint} {hint}") from stopped
        finally:
            observer.close()
    return loop


def way_on(loop: Any, made: Prepared, out: Path) -> str:
    """What to do after a loss that is no number, which the same recipe would come to again.

    The pipeline of the last state is saved, for another run to begin with. All processes must call it.
    """
    from training import processes
    from training.pipelines import save_pipeline
    from training.prepare import CACHE

    gentler = "a lower optimiser.rate" + ("" if made.recipe.run.precision == "fp32" else " or run.precision=fp32")
    if not loop.states.load():
        return f"Call it again with {gentler}."
    cache = f"data.cache={made.recipe.data.cache or out / CACHE}"
    if made.recipe.method == "classifier":
        return f"Begin anew: --out NEW {cache}, with {gentler}."
    with loop.averaged() as model:
        if processes.is_first():
            save_pipeline(out, made, model)
    # The first process to end in an error takes the others with it.
    processes.wait()
    return f"Begin a new run with its averaged weights: --out NEW model.start={out} {cache}, with {gentler}."


def _outcome(out: Path, folder: Path, seconds: float) -> dict[str, Any]:
    """What --json says in the end; losses are the last ones of the log, whenever they were written."""
    from training.curves import read_losses

    losses = read_losses(out / LOG)
    return {
        "folder": str(folder),
        "steps": losses.train[-1][0] if losses.train else 0,
        "loss": losses.train[-1][1] if losses.train else None,
        "validation_loss": losses.validation[-1][1] if losses.validation else None,
        "seconds": round(seconds, 1),
    }


class FeatureMeter:
    """Bars for the features that are computed before the first step."""

    def __init__(self) -> None:
        from cli.console import Meter

        self._meter: Meter = Meter("images")
        self._line: Line | None = None

    def __enter__(self) -> FeatureMeter:
        self._meter.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._line:
            self._line.drop()
        self._meter.__exit__(*error)

    def begin(self, what: str, total: int) -> None:
        """Ends the bar before and begins one for `what`."""
        if self._line:
            self._line.drop()
        self._line = self._meter.line(what, total)

    def advance(self, count: int) -> None:
        """So many more are done."""
        assert self._line is not None, "begin comes first"
        self._line.advance(count)


class Observer:
    """A bar on the terminal; in the run's folder a log of JSON lines, TensorBoard's files and the picture of losses.

    Only the process that calls `begin` writes any of it.
    """

    def __init__(self, meter: Meter, steps: int, batch: int, out: Path) -> None:
        self._meter, self._steps, self._batch, self._out = meter, steps, batch, out
        self._line: Line | None = None
        self._board: Board | None = None
        self._first = 0

    def begin(self, step: int) -> None:
        """Training goes on from this step."""
        from training.board import Board

        self._first = step
        self._line = self._meter.line("training", (self._steps - step) * self._batch)
        self._board = Board(self._out, step)

    def stepped(self, step: int) -> None:
        """After every step."""
        assert self._line is not None, "begin comes first"
        self._line.set((step - self._first) * self._batch)

    def told(self, said: Told) -> None:
        """What the loop says of a step."""
        from dataclasses import asdict

        assert self._line is not None, "begin comes first"
        assert self._board is not None, "begin comes first"
        self._line.label = f"training, loss {said.loss:.4f}"
        self._log(asdict(said))
        self._board.told(said)

    def measured(self, step: int, found: Measured) -> None:
        """The validation loss after a step."""
        assert self._board is not None, "begin comes first"
        self._log({"step": step, "validation_loss": found.loss, "validation_by_place": found.by_place})
        self._board.measured(step, found)

    def drew(self, step: int, sheet: Image.Image) -> None:
        """Previews were drawn after a step."""
        assert self._board is not None, "begin comes first"
        self._board.drew(step, sheet)

    def finish(self) -> None:
        """The last step is done."""
        if self._line:
            self._line.finish()

    def close(self) -> None:
        """No step follows, whether all were taken or not: losses are drawn from the log."""
        from training.curves import PICTURE, plot, read_losses

        if self._board is not None:
            self._board.close()
            plot(read_losses(self._out / LOG), self._out / PICTURE)

    def _log(self, told: dict[str, Any]) -> None:
        with (self._out / LOG).open("a") as file:
            file.write(json.dumps(told) + "\n")
