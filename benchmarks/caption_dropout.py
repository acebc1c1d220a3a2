"""Caption dropout 0 against 0.1, trained equally, at guidance 1 to 20: what a picture keeps of its caption.

    python benchmarks/caption_dropout.py [--handoff MANIFEST] [--start RUN] [--steps 4000] [--prompts 64] [--trial]

The claim (Imagen, PixArt and others drop 10 %): without dropout a model never learns what no caption is, and guidance,
which leads away from that, breaks its pictures. Both arms are trained here, one after the other (arms.py); the table
goes to RESULTS.md, pictures of four scenes to docs/training/caption_dropout.png.
"""

from __future__ import annotations

from arms import (
    PICTURES,
    Arm,
    about,
    arguments,
    chosen,
    command,
    drawn,
    figures,
    read_again,
    scenes_of,
    told,
    trained,
    work_folder,
)
from PIL import Image
from record import record

from training.grids import grid

ARMS = {"dropout 0": Arm({"dropout": 0.0}), "dropout 0.1": Arm({"dropout": 0.1})}
SCALES = (1.0, 4.0, 8.0, 15.0, 20.0)
#: Sampling steps; the noise that the first picture begins with; scenes of a cell of the picture, a square number.
STEPS, NOISE, SHOWN = 20, 1000, 4
TITLE = "Caption dropout and guidance"


def main() -> None:
    parser = arguments(__doc__, steps=4000, prompts=64, things="large")
    options = parser.parse_args()
    line = command("caption_dropout", options, parser)
    scales = SCALES
    if options.trial:
        options.steps, options.batch, options.prompts, scales = 2, 4, 2, (1.0, 4.0)
    scenes = scenes_of(options)
    rows: list[tuple[str, str]] = []
    cells: list[Image.Image] = []
    with work_folder(options) as work:
        for name, arm in chosen(ARMS, options).items():
            with trained(arm, options, work) as pipeline:
                if options.only:
                    return
                for scale in scales:
                    found = drawn(pipeline, scenes, guidance=scale, steps=STEPS, seed=NOISE)
                    scores = read_again(scenes, found.images)
                    rows.append((f"{name}, guidance {scale:g}", f"{told(figures(scores))}, spread {found.spread:.2f}"))
                    print(": ".join(rows[-1]))
                    cells.append(grid(found.images[:SHOWN], 2))
    sheet = grid(
        cells,
        len(scales),
        rows=list(ARMS),
        heads=[f"guidance {scale:g}" for scale in scales],
    )
    if not options.trial:
        PICTURES.mkdir(parents=True, exist_ok=True)
        sheet.save(PICTURES / "caption_dropout.png", optimize=True)
    record(
        TITLE,
        line,
        rows,
        f"{about(options)} Spread: standard deviation of the latents drawn, about 1 in training. {STEPS} steps of "
        "DPM-Solver++.",
        trial=options.trial,
    )


if __name__ == "__main__":
    main()
