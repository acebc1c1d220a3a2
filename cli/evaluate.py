"""`densify evaluate`: how well what a model draws matches what it was asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson

if TYPE_CHECKING:
    from cli.console import Line
    from scenes.scorer import Scores

#: Pictures of each set on a sheet.
COLUMNS = 8
SHOWN = ("background", "style", "noun", "colour", "position", "relation", "count")


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, a diffusers folder, or `demo`.")] = "demo",
    prompts: Annotated[int, typer.Option("--prompts", min=1, help="Unseen prompts of each set.")] = 300,
    guidance: Annotated[float, typer.Option("--guidance", min=0, help="Guidance scale.")] = 3.0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Sampling steps.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed: other prompts, other noise.")] = 0,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="PNG", help="Write a sheet: the first drawn beside true ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a model of the demo world by re-captioning: the LLaVA that ships says what was drawn.

    F1 of objects, of colour with object, of position, against the scenes of the prompts, which are drawn from other
    seeds than any data set's, with 95 % intervals; beside them what the same LLaVA says of the true pictures.
    """
    from cli.console import Meter, note, print_json
    from training.alignment import WORLDS, alignment, ceiling, true_pictures, unseen_scenes
    from training.drawable import side_of
    from training.grids import grid
    from training.sampling import load_pipeline

    pipeline = load_pipeline(run)
    caption, side = Captioner(), side_of(pipeline)
    found: dict[str, dict[str, Scores]] = {}
    sheet: list[Any] = []
    for world in WORLDS:
        scenes = unseen_scenes(prompts, world, seed)
        with Meter("images") as meter:
            seen = Seen(meter.line(world, prompts))
            drawn = alignment(pipeline, scenes, caption, guidance=guidance, steps=steps, seed=seed, drawn=seen)
            seen.line.finish()
        found[world] = {"drawn": drawn, "true pictures": ceiling(scenes, caption, side)}
        sheet += true_pictures(scenes[:COLUMNS], side) + seen.images[:COLUMNS]
    if pictures:
        pictures.parent.mkdir(parents=True, exist_ok=True)
        grid(sheet, min(COLUMNS, prompts), rows=["asked for", "drawn"] * len(WORLDS)).save(pictures, optimize=True)
        note(f"Pictures: {pictures}")
    if as_json:
        print_json({world: {name: scores.to_dict() for name, scores in both.items()} for world, both in found.items()})
        return
    for world, both in found.items():
        show(world, prompts, both)


def show(world: str, prompts: int, both: dict[str, Scores]) -> None:
    """Prints a table of one set of prompts."""
    from cli.console import print_table

    def text(scores: Scores, name: str) -> str:
        figure = getattr(scores, name)
        figure = getattr(figure, "f1", figure)
        return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"

    rows = [[name, *(text(scores, name) for scores in both.values())] for name in SHOWN]
    print_table(f"{world}: {prompts} unseen prompts, F1 with 95 % intervals", ["", *both], rows, text=[""])


class Seen:
    """Keeps the pictures that are drawn, and moves a bar along."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.images: list[Any] = []

    def __call__(self, image: Any) -> None:
        self.images.append(image)
        self.line.advance(1)


class Captioner:
    """The LLaVA that ships, as a function from pictures to captions; it is loaded when it is first asked."""

    def __init__(self) -> None:
        self._engine: Any = None

    def __call__(self, images: Sequence[Any]) -> list[str]:
        from captioner.engine import CaptionRequest, load_engine
        from core.logs import configure
        from core.settings import Settings
        from core.spec import DEMO_MODEL, PIXART_PROMPT, CaptionSpec, Generation

        if self._engine is None:
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            # The warning that the model knows this world only is right everywhere but here.
            configure("ERROR")
            self._engine = load_engine(
                CaptionSpec(model=DEMO_MODEL), Settings(model=DEMO_MODEL, dtype="float32", device="cpu")
            )
        requests = (CaptionRequest(str(at), image.convert("RGB"), PIXART_PROMPT) for at, image in enumerate(images))
        return [done.text for done in self._engine.caption(requests, Generation())]
