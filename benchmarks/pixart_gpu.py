"""GPU: PixArt-XL/2 at 256 pixels in bf16: images/s, share of the device's peak, and what adaLN-single saves.

    python benchmarks/pixart_gpu.py [--batch N] [--steps 30] [--rounds 3] [--trial]

The batch is the largest power of two that the twin with adaLN in every block trains in this memory (adaln.py), so that
all meet the same one. Latents of 32 x 32 x 4 and texts of 120 x 4,096 are random; weights, AdamW's averages and the
moving average are fp32. With and without torch.compile, plainly and through Densify's loop (steps.py). TFLOP/s count
what the model needs (flops.py: 0.894 TFLOP an image), nothing computed twice. Without a GPU it ends with code 2.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from adaln import AdaLn
from flops import peak, trained
from record import alone, record
from steps import Timing, Work, plainly, through_loop

from core.errors import OutOfMemoryError
from training.models import SIZES, parameters, pixart

MOST = 1024  # images of a step
#: Share of parameters and of memory that the paper's adaLN-single saves (arXiv 2310.00426, section 2.3).
PAPER = (0.26, 0.21)
#: Batch at which memory is compared besides the largest: states weigh more there than activations.
SMALL = 32

Way = Callable[[Work], Timing]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, help="images of a step; none: as many as fit")
    parser.add_argument("--steps", type=int, default=30, help="steps that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trial", action="store_true", help="one round of two steps; nothing is recorded")
    parser.add_argument("--size", default="XL/2", choices=list(SIZES), help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("This benchmark needs a GPU, and PyTorch finds none.", file=sys.stderr)
        raise SystemExit(2)
    steps, rounds = (2, 1) if options.trial else (options.steps, options.rounds)
    work = Work(options.size, "bf16", 1, steps, options.device, 1 if options.trial else 5)
    batch = options.batch or largest(work)
    work = replace(work, batch=batch)
    rows = [("images of a step", f"{batch}")]
    rows += speeds(work, rounds, compiled=options.device == "cuda")
    rows += savings(work)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    record(
        "PixArt-XL/2 at 256 pixels on a GPU",
        "python benchmarks/pixart_gpu.py" + (f" --batch {options.batch}" if options.batch else ""),
        rows,
        f"On {name}, torch {torch.__version__}, bf16 products, fp32 weights, states and average, random latents of "
        f"{work.shape.side} x {work.shape.side} x 4, texts of {work.tokens} x {work.shape.text:,}; "
        f"{trained(work.shape, tokens=work.tokens) / 1e12:.3f} TFLOP an image, nothing computed twice. Peaks are those "
        "of the makers' data sheets, dense. Speeds are medians of rounds in processes of their own. Through the loop: "
        "features read from files and moved to the device, noise drawn for each image by itself. How much memory "
        "adaLN-single saves depends on the batch: activations grow with it, states do not.",
        trial=options.trial,
    )


def largest(work: Work) -> int:
    """The largest power of two images that a step of the twin has room for."""
    batch = 0
    while batch < MOST:
        tried = max(1, 2 * batch)
        if run(replace(work, batch=tried, steps=1, warmup=1, twin=True), plainly) is None:
            break
        batch = tried
        print(f"{batch} images fit")
    if not batch:
        raise SystemExit("Not even one image fits into this GPU's memory.")
    return batch


def speeds(work: Work, rounds: int, *, compiled: bool) -> list[tuple[str, str]]:
    """Rows on speed; ways take turns."""
    kinds: dict[str, tuple[Work, Way]] = {}
    for suffix, each in (("", work), (", compiled", replace(work, compiled=True)))[: 1 + compiled]:
        kinds |= {f"plain step{suffix}": (each, plainly), f"through the loop{suffix}": (each, through_loop)}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds):
        for name, (each, way) in kinds.items():
            timing = run(each, way)
            if timing is not None:
                found[name].append(work.batch / timing.seconds)
                print(f"round {number}: {name} {found[name][-1]:,.1f} images/s")
    rows = [(name, told(work, statistics.median(each)) if each else "does not fit") for name, each in found.items()]
    for suffix in ("", ", compiled")[: 1 + compiled]:
        pairs = zip(found[f"through the loop{suffix}"], found[f"plain step{suffix}"], strict=False)
        rows.append((f"speed, loop / plain{suffix}", ", ".join(f"{ours / theirs:.3f}" for ours, theirs in pairs)))
    if compiled:
        pairs = zip(found["plain step, compiled"], found["plain step"], strict=False)
        rows.append(("speed, compiled / not", ", ".join(f"{one / other:.3f}" for one, other in pairs)))
    return rows


def told(work: Work, speed: float) -> str:
    """Images/s, TFLOP/s, share of the peak."""
    rate = speed * trained(work.shape, tokens=work.tokens) / 1e12
    most = peak(torch.cuda.get_device_name()) if work.device == "cuda" else None
    share = f", {rate / most:.1%} of {most:g}" if most else ", peak not known"
    return f"{speed:,.1f} images/s, {rate:,.1f} TFLOP/s{share}"


def savings(work: Work) -> list[tuple[str, str]]:
    """Rows on adaLN-single against the twin: parameters, and peak memory at equal batches."""
    with torch.device("meta"):
        # Counted as the paper has it: the variance is learnt too.
        single = parameters(pixart(work.shape, learn_sigma=True))
        twin = parameters(AdaLn(pixart(work.shape, learn_sigma=True), work.shape.text))
    rows = [("parameters, adaLN-single against adaLN", compared(single, twin, "", PAPER[0]))]
    for batch in sorted({min(SMALL, work.batch), work.batch}):
        short = replace(work, batch=batch, steps=2, warmup=1)
        ours, theirs = (run(replace(short, twin=each), plainly) for each in (False, True))
        if ours is not None and theirs is not None and ours.mib is not None and theirs.mib is not None:
            what = f"peak memory at {batch} images, adaLN-single against adaLN"
            rows.append((what, compared(ours.mib, theirs.mib, " MiB", PAPER[1])))
    return rows


def compared(ours: float, theirs: float, unit: str, paper: float) -> str:
    return f"{ours:,.0f} against {theirs:,.0f}{unit}: {ours / theirs - 1:+.1%} (paper: {-paper:+.0%})"


def run(work: Work, way: Way) -> Timing | None:
    """One way in a process of its own; None where it does not fit. `mib` without a GPU: the process's."""
    timing, _, mib = alone(partial(_fits, work, way))
    if timing is not None and timing.mib is None:
        return replace(timing, mib=mib)
    return timing


def _fits(work: Work, way: Way) -> Timing | None:
    try:
        return way(work)
    except (torch.OutOfMemoryError, OutOfMemoryError):
        return None


if __name__ == "__main__":
    main()
