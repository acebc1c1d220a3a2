"""`densify sample`: pictures from a model that was trained, one by one, as a grid, or over a range of guidance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

#: Guidance scales of a sweep at most.
MOST_SCALES = 40


def sample(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, a diffusers folder, a hub id, or `demo`.")],
    prompt: Annotated[
        list[str],
        typer.Option("--prompt", "--class", help="What to draw, of a DiT the class; may be given several times."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="PNG", help="The picture, or the grid of several.")] = Path(
        "sample.png"
    ),
    count: Annotated[
        int, typer.Option("--count", min=1, help="Pictures of each prompt, of one seed after another.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first picture.")] = 0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Sampling steps.")] = 20,
    guidance: Annotated[
        str, typer.Option("--guidance", help="Guidance scale: a number, several (1,4,8), or a range (1:20).")
    ] = "4.5",
    scheduler: Annotated[str, typer.Option("--scheduler", help="dpm++, ddim, pndm, lms or euler.")] = "dpm++",
    negative: Annotated[str, typer.Option("--negative", help="What not to draw; needs guidance.")] = "",
    classifier: Annotated[
        str | None, typer.Option("--classifier", metavar="RUN", help="A classifier's run that guides a DiT.")
    ] = None,
    classifier_scale: Annotated[
        float | None,
        typer.Option("--classifier-scale", min=0, help="Scale of the classifier's guidance; none: 1."),
    ] = None,
    width: Annotated[int | None, typer.Option("--width", min=8, help="Pixels; none: what it was trained on.")] = None,
    height: Annotated[int | None, typer.Option("--height", min=8, help="Pixels; none: what it was trained on.")] = None,
) -> None:
    """Draw with a model: PNG files that say inside how they were made.

    Several pictures are written one by one beside the grid, as NAME-0000.png and so on.
    """
    from cli.console import Meter, note
    from core.errors import BadFieldError
    from training.drawable import hears_negative, side_of, tokens_of
    from training.grids import grid
    from training.guided import load_guide
    from training.sampling import Drawing, draw, load_pipeline, save_grid, save_png

    scales = scales_of(guidance)
    if classifier_scale is not None and classifier is None:
        raise BadFieldError("--classifier-scale scales nothing.", hint="Name the classifier's run with --classifier.")
    pipeline = load_pipeline(run)
    side, tokens = side_of(pipeline), tokens_of(pipeline)
    if negative and not any(hears_negative(pipeline, scale) for scale in scales):
        raise BadFieldError(
            f"--negative says nothing with --guidance {guidance}.", hint="Guide away from it, with more than 1."
        )
    guide = load_guide(classifier, pipeline, run) if classifier else None
    guided = (classifier, 1.0 if classifier_scale is None else classifier_scale) if classifier else ("", 0.0)
    drawings = [
        Drawing(
            text,
            seed + number,
            steps,
            scale,
            scheduler,  # type: ignore[arg-type]
            width or side,
            height or side,
            negative if hears_negative(pipeline, scale) else "",
            *guided,
            tokens,
        )
        for text in prompt
        for number in range(count)
        for scale in scales
    ]
    # Those of one scale are drawn together, and shown beside the other scales of their prompt and seed.
    order = sorted(range(len(drawings)), key=lambda place: place % len(scales))
    images: list[Any] = [None] * len(drawings)
    with Meter("images") as meter:
        line = meter.line("drawing", len(drawings))
        drawn = draw(pipeline, [drawings[place] for place in order], guide)
        for place, (drawing, image) in zip(order, drawn, strict=True):
            file = out if len(drawings) == 1 else out.with_name(f"{out.stem}-{place:04d}.png")
            save_png(file, image, drawing, run)
            images[place] = image
            line.advance(1)
        line.finish()
    if len(images) > 1:
        heads = [f"guidance {scale:g}" for scale in scales] if len(scales) > 1 else []
        columns = len(scales) if len(scales) > 1 else min(8, len(images))
        save_grid(out, grid(images, columns, heads=heads), drawings, run)
    note(f"{len(images)} pictures")
    print(out)


def scales_of(text: str) -> list[float]:
    """`4.5` → [4.5]; `1,4,8`; `1:4` → [1, 2, 3, 4]. Raises BadFieldError."""
    from core.errors import BadFieldError

    try:
        if ":" in text:
            first, last = (int(part) for part in text.split(":"))
            scales = [float(scale) for scale in range(first, min(last, first + MOST_SCALES) + 1)]
        else:
            scales = [float(part) for part in text.split(",")]
    except ValueError:
        scales = []
    if not scales or len(scales) > MOST_SCALES or not all(math.isfinite(scale) and scale >= 0 for scale in scales):
        raise BadFieldError(
            f"--guidance {text} names no guidance scale.", hint=f"4.5, or 1,4,8, or 1:20; {MOST_SCALES} at most."
        )
    return scales
