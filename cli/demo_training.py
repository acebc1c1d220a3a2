"""The demo's last steps: the PixArt that ships learns a minute more, from what was just captioned, and draws.

Leaves out what comes before (demo.py), and the training itself (`densify train demo` does the same).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPE = "demo"
#: Pictures of a step at most, and how many there must be of all for each of them.
BATCH, IMAGES_FOR_EACH = 16, 30
#: Pictures that are drawn, of scenes from other seeds than any data set's, and how.
PROMPTS, COLUMNS = 8, 4
STEPS, GUIDANCE = 20, 3.0
SEED = 1
PICTURES = "drawn.png"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the demo drew: `sheet` has all pictures, row by row; `prompts` are theirs; `run` was drawn with."""

    sheet: Path
    prompts: tuple[str, ...]
    run: Path
    steps: int
    images: int
    seconds: float


def train_more(manifest: Path, run: Path, images: int) -> tuple[int, int, float]:
    """Trains into `run`; returns steps, samples of the hand-off, and seconds."""
    import time

    from cli.train import FeatureMeter, learn
    from training import processes, recipe_files
    from training.prepare import prepare

    began = time.monotonic()
    # A batch has pictures of one shape, and few pictures have many shapes.
    batch = min(BATCH, max(1, images // IMAGES_FOR_EACH))
    recipe = recipe_files.load(RECIPE, [f"data.handoff={manifest}", f"run.batch={batch}"])
    with FeatureMeter() as meter:
        made = prepare(recipe, run, meter, processes.device())
    learn(made, run)
    return recipe.run.steps, len(made.source.samples), time.monotonic() - began


def draw_unseen(run: Path, file: Path) -> tuple[str, ...]:
    """Draws PROMPTS scenes of one or two large objects onto a sheet; returns their prompts."""
    from training.alignment import WORLDS, drawings_of, unseen_scenes
    from training.drawable import side_of, tokens_of
    from training.grids import grid
    from training.sampling import draw, load_pipeline

    pipeline = load_pipeline(str(run))
    side = side_of(pipeline)
    scenes = unseen_scenes(PROMPTS, next(iter(WORLDS)), SEED)
    tokens = tokens_of(pipeline)
    drawings = drawings_of(scenes, side, guidance=GUIDANCE, steps=STEPS, seed=SEED, tokens=tokens)
    images: list[Any] = [image for _, image in draw(pipeline, drawings)]
    grid([image.resize((2 * side, 2 * side)) for image in images], COLUMNS).save(file)
    return tuple(drawing.prompt for drawing in drawings)


def train_and_draw(manifest: Path, folder: Path, images: int) -> Drawn:
    """Both, told as they go."""
    from cli.demo import step

    step(8, "a minute of training: the PixArt that ships goes on with these captions, by the recipe `demo`")
    run = folder / "run"
    steps, samples, seconds = train_more(manifest, run, images)
    print(f"  {steps} steps on {samples} samples in {seconds:.0f} s, pipeline in {run / 'pipeline'}")
    step(9, "pictures, drawn from prompts of other seeds")
    sheet = folder / PICTURES
    prompts = draw_unseen(run, sheet)
    for prompt in prompts[:2]:
        print(f"  {prompt}")
    print(f"  … {sheet}")
    return Drawn(sheet, prompts, run, steps, samples, seconds)
