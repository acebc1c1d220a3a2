"""How dark and how bright images can be, with and without zero terminal SNR (arXiv 2305.08891).

    python benchmarks/dark_images.py

A model without fault and the schedulers of `Learning.sampler()`: nothing is trained, so what is missed is the noise
schedule's. Writes docs/training/dark_images.png beside the entry in RESULTS.md.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import torch
from ideal_brightness import Brightness
from record import record

from core.files import write_atomic
from training.objective import Learning
from training.recipe import Objective

PICTURE = Path(__file__).parents[1] / "docs" / "training" / "dark_images.png"
#: Latents of images of 256, 512 and 1024 pixels a side: four channels, an eighth of the side.
VALUES = {side: 4 * (side // 8) ** 2 for side in (256, 512, 1024)}
STEPS = 20
TARGETS = torch.linspace(-1, 1, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trial", action="store_true", help="print the figures; nothing is recorded")
    options = parser.parse_args()
    ways = {
        "zero terminal SNR": Learning(Objective(kind="v", zero_terminal_snr=True)),
        "plain": Learning(Objective(kind="v")),
    }
    reached = {
        (way, side): Brightness(values).reached(learning, TARGETS, STEPS).tolist()
        for way, learning in ways.items()
        for side, values in VALUES.items()
    }
    rows = [
        (f"{way}, {side} pixels", ", ".join(f"{each:+.2f}" for each in row)) for (way, side), row in reached.items()
    ]
    record(
        "Dark and bright images: zero terminal SNR",
        "python benchmarks/dark_images.py",
        [("target", ", ".join(f"{each:+.2f}" for each in TARGETS.tolist())), *rows],
        f"Mean brightness that is reached for each target, {STEPS} steps of DPM-Solver++, v-prediction, linear betas. "
        "The model makes no mistake: data of one brightness an image, around the target with deviation 0.3. Without "
        "zero terminal SNR training's last step still shows the brightness, the more clearly the more values an image "
        "has; drawing begins with noise that shows 0, and a good model believes it.",
        trial=options.trial,
    )
    if not options.trial:
        PICTURE.parent.mkdir(exist_ok=True)
        write_atomic(PICTURE, picture(reached))


def picture(reached: dict[tuple[str, int], list[float]]) -> bytes:
    """The figures as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([-1, 1], [-1, 1], color="0.8", linewidth=5, label="as asked")
    for (way, side), row in reached.items():
        zero = way != "plain"
        if zero and side != min(VALUES):
            continue  # One line on the other for all sizes.
        name = "zero terminal SNR, every size" if zero else f"plain, {side} pixels"
        axes.plot(TARGETS.tolist(), row, marker="o", markersize=3, label=name, color="black" if zero else None)
    axes.set(xlabel="brightness asked for", ylabel="brightness drawn", xlim=(-1.05, 1.05), ylim=(-1.05, 1.05))
    axes.set_title("Dark and bright images, drawn without fault", fontsize=10)
    axes.grid(color="0.92")
    axes.legend(frameon=False, fontsize=8)
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=130)
    return sink.getvalue()


if __name__ == "__main__":
    main()
