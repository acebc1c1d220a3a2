"""A step of training through Densify's loop against the same step written plainly in PyTorch: time and peak memory.

    python benchmarks/training_step.py [--rounds 3] [--size demo] [--trial]

The demo's PixArt and PixArt-B/2, in fp32 and bf16, on the GPU where there is one, else on all cores. Every measurement
has a process of its own; the two take turns, round by round.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from functools import partial

from record import alone, record
from steps import Timing, Work, plainly, through_loop

TITLE = "A step of training"
WAYS = {"loop": through_loop, "plain": plainly}
#: (size, images of a step, tokens of a text, steps that are timed); a batch of B/2 takes seconds on two cores.
ON_CPU = (("demo", 64, 80, 20), ("B/2", 4, 120, 4))
ON_GPU = (("demo", 1024, 80, 100), ("B/2", 128, 120, 50))


@dataclass(frozen=True, slots=True)
class Measured:
    """One process: seconds of a step, and MiB at its peak: of the GPU's memory where there is one."""

    seconds: float
    mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", choices=["demo", "B/2"], help="one model instead of both")
    parser.add_argument("--trial", action="store_true", help="two steps of the demo's; nothing is recorded")
    options = parser.parse_args()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = (("demo", 2, 8, 1),) if options.trial else ON_GPU if device == "cuda" else ON_CPU
    rows = []
    for size, batch, tokens, steps in sizes:
        if options.size in (None, size):
            for precision in ("fp32", "bf16"):
                work = Work(size, precision, batch, steps, device, 1 if options.trial else 2, tokens)
                rows += measure(work, 1 if options.trial else options.rounds)
    memory = "what PyTorch allocated on the GPU" if device == "cuda" else "of the process, libraries in it"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    record(
        f"{TITLE} ({'GPU' if device == 'cuda' else 'CPU'})",
        "python benchmarks/training_step.py" + (f" --size {options.size}" if options.size else ""),
        rows,
        f"On {where}, torch {torch.__version__}. Same model class, AdamW, clipping, moving average and flow matching. "
        "The loop reads its features from files, one step ahead, and draws noise for each image by itself; the plain "
        "step has its batch in memory. On a CPU the loop takes plain attention (in bf16 nearly twice as fast to train "
        "with, in fp32 no faster), the plain step what diffusers takes by itself, torch's fused one. "
        f"Memory: {memory}, at its peak, the saving of states left out.",
        trial=options.trial,
    )


def measure(work: Work, rounds: int) -> list[tuple[str, str]]:
    """Rows of the table for one model and number type."""
    found: dict[str, list[Measured]] = {name: [] for name in WAYS}
    for number in range(rounds):
        # Who begins changes, so that a machine that slows down slows both.
        for name in sorted(WAYS, reverse=bool(number % 2)):
            found[name].append(measured(work, name))
            last = found[name][-1]
            print(f"{work.size} {work.precision} round {number}: {name} {last.seconds:.4f} s, {last.mib:,.0f} MiB")
    pairs = list(zip(found["loop"], found["plain"], strict=True))
    named = f"{work.size}, {work.precision}, batches of {work.batch}"
    rows = [
        (f"{named}: speed, loop / plain", ", ".join(f"{b.seconds / a.seconds:.3f}" for a, b in pairs)),
        (f"{named}: peak memory, loop / plain", ", ".join(f"{a.mib / b.mib:.3f}" for a, b in pairs)),
    ]
    for name, each in found.items():
        seconds = statistics.median(one.seconds for one in each)
        mib = statistics.median(one.mib for one in each)
        rows.append(
            (
                f"{named}: {name}",
                f"{1000 * seconds:,.1f} ms a step, {work.batch / seconds:,.2f} images/s, {mib:,.0f} MiB",
            )
        )
    return rows


def measured(work: Work, name: str) -> Measured:
    """One way in a process of its own."""
    timing, _, mib = alone(partial(_run, work, name))
    return Measured(timing.seconds, mib if timing.mib is None else timing.mib)


def _run(work: Work, name: str) -> Timing:
    return WAYS[name](work)


if __name__ == "__main__":
    main()
