"""Old text against LLaVA's captions: the same model, seed and steps, and how well each learns to draw what is asked.

    python benchmarks/dense_vs_sparse.py [--handoff MANIFEST] [--start RUN] [--steps 10000] [--things all] [--trial]

PixArt-alpha's core claim in small: dense captions teach a model what is in a picture, web text hardly does. One arm
reads each sample's old text (captions.old_text 1), the other its caption (0); at five points of training both draw the
dense captions of unseen scenes, at the end of four times as many, and brief captions of those too, so that neither is
asked in its own language alone. The table goes to RESULTS.md, dense_vs_sparse*.png to docs/training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arms import (
    PICTURES,
    RESOLUTION,
    Arm,
    about,
    arguments,
    chosen,
    command,
    drawn,
    figures,
    scenes_of,
    told,
    trained,
    work_folder,
)
from PIL import Image
from record import record

from cli.evaluate import Captioner
from scenes.captions import brief, dense
from scenes.graph import Scene
from scenes.scorer import Figure, score
from training.alignment import true_pictures
from training.grids import grid

#: By name in the table; old_text: the share of samples that are read with it.
ARMS = {"old text": Arm({"old_text": 1.0}), "LLaVA's captions": Arm({"old_text": 0.0})}
#: Points of training; sampling steps; guidance; the noise that the first picture begins with.
POINTS, STEPS, GUIDANCE, NOISE = 5, 20, 3.0, 1000
#: What a scene is asked for in; the first at every point, both at the end.
ASKED: dict[str, Callable[[Scene], str]] = {"dense": dense, "brief": brief}
#: Scenes of the picture; how many times as many scenes are drawn at the last point as at the others.
SHOWN, LAST = 8, 4
#: Pairings of the pictures with scenes that they were not asked for.
PAIRINGS = 16
TITLE = "Old text against dense captions"
COLOURS = {"old text": "#b5651d", "LLaVA's captions": "#1d6fb5"}


@dataclass(frozen=True, slots=True)
class Point:
    """What an arm draws after so many steps. `chance`: what the same pictures have when they are held against other
    scenes than those asked for, as one that does not listen would."""

    step: int
    asked: str
    figures: dict[str, Figure]
    chance: dict[str, float]

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Point:
        """What `line` wrote."""
        fields = json.loads(line)
        found = {name: Figure(**each) for name, each in fields["figures"].items()}
        return cls(fields["step"], fields["asked"], found, fields["chance"])

    def __str__(self) -> str:
        return told(self.figures, self.chance)


def main() -> None:
    parser = arguments(__doc__, steps=10_000, prompts=512, things="large")
    options = parser.parse_args()
    line = command("dense_vs_sparse", options, parser)
    if options.trial:
        options.steps, options.batch, options.prompts = 2, 4, 2
    options.prompts *= LAST
    scenes, caption = scenes_of(options), Captioner()
    curves: dict[str, list[Point]] = {}
    shown = true_pictures(scenes[:SHOWN], RESOLUTION)
    with work_folder(options) as work:
        for name, arm in chosen(ARMS, options).items():
            curves[name], images = learnt(name, arm, options, work, scenes, caption)
            shown += images
    if options.only:
        return
    if not options.trial:
        plot(curves, PICTURES / "dense_vs_sparse.png")
        sheet = grid(shown, SHOWN, rows=["asked for", *ARMS])
        sheet.save(PICTURES / "dense_vs_sparse_drawn.png", optimize=True)
    record(
        f"{TITLE} ({'large things' if options.things == 'large' else 'the whole world'})",
        line,
        list(table(curves)),
        f"{about(options)} At points before the last: the first {options.prompts // LAST} of these scenes. "
        f"Guidance {GUIDANCE:g}, {STEPS} steps of DPM-Solver++. Prompts are dense captions for both; "
        "where it says so, brief ones, which name things, colours and place (10 % of old texts are such captions of "
        "other scenes, 6 % such captions cut off). In parentheses: chance, the same pictures held against other scenes "
        f"than those asked for ({PAIRINGS} pairings).",
        trial=options.trial,
    )


def learnt(
    name: str, arm: Arm, options: argparse.Namespace, work: Path, scenes: Sequence[Scene], caption: Captioner
) -> tuple[list[Point], list[Image.Image]]:
    """Trains an arm, or goes on with it: its points, and what it draws of the first scenes at its end.

    Raises SystemExit where it was trained before without being looked at.
    """
    points, every = work / arm.name / f"points-{options.things}.jsonl", max(1, options.steps // POINTS)

    def look(step: int, pipeline: Any) -> None:
        # Written down as they come, so that an arm that was stopped has its first points too.
        last = step == options.steps
        for asked in ASKED if last else list(ASKED)[:1]:
            point = seen(pipeline, scenes if last else scenes[: len(scenes) // LAST], caption, step, asked)
            with points.open("a") as file:
                file.write(point.line())
            print(f"{name}, step {step}, {asked}: {point}", flush=True)

    with trained(arm, options, work, [(every, look)]) as pipeline:
        if not {(options.steps, asked) for asked in ASKED} <= {(at.step, at.asked) for at in read(points)}:
            look(options.steps, pipeline)
        images = drawn(pipeline, scenes[:SHOWN], guidance=GUIDANCE, steps=STEPS, seed=NOISE).images
    curve = read(points)
    looked = {point.step for point in curve}
    missing = [step for step in range(every, options.steps, every) if step not in looked]
    if missing:
        raise SystemExit(
            f"The arm {arm.name} in {work} has steps that nobody looked at: {missing}. Name another --work, or "
            "run this script before others that share its arm."
        )
    return curve, images


def seen(pipeline: Any, scenes: Sequence[Scene], caption: Captioner, step: int, asked: str) -> Point:
    """Draws the scenes, reads them again, and holds them against what was asked for and against other scenes."""
    found = drawn(pipeline, scenes, guidance=GUIDANCE, steps=STEPS, seed=NOISE, asked=ASKED[asked])
    said = caption(found.images)
    right = figures(score(zip(scenes, said, strict=True)))
    chance = figures(score(mispaired(scenes, said)))
    return Point(step, asked, right, {name: each.value for name, each in chance.items()})


def mispaired(scenes: Sequence[Scene], said: Sequence[str]) -> Iterator[tuple[Scene, str]]:
    """What was said of each picture beside other scenes than its own, by PAIRINGS shifts of the whole list."""
    for shift in range(1, min(PAIRINGS, len(scenes) - 1) + 1):
        yield from zip([*scenes[shift:], *scenes[:shift]], said, strict=True)


def read(file: Path) -> list[Point]:
    """The points of an arm, by step; of one that was measured twice the last."""
    if not file.is_file():
        return []
    points = [Point.of_line(line) for line in file.read_text().splitlines()]
    return sorted({(point.step, point.asked): point for point in points}.values(), key=lambda point: point.step)


def table(curves: Mapping[str, Sequence[Point]]) -> Iterator[tuple[str, str]]:
    """A row for each point of each arm."""
    for arm, points in curves.items():
        for point in points:
            how = "" if point.asked == "dense" else f", {point.asked} prompts"
            yield f"{arm}, step {point.step:,}{how}", str(point)


def plot(curves: Mapping[str, Sequence[Point]], file: Path) -> None:
    """A small plot for each figure: both arms, their intervals, dotted what chance would be, and what brief prompts
    bring."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(next(iter(curves.values()))[0].figures)
    sheet, plots = pyplot.subplots(1, len(names), figsize=(3 * len(names), 3), sharey=True, layout="constrained")
    for axes, name in zip(plots, names, strict=True):
        for arm, curve in curves.items():
            points = [point for point in curve if point.asked == "dense"]
            steps = [point.step for point in points]
            found = [point.figures[name] for point in points]
            axes.plot(steps, [each.value for each in found], "o-", color=COLOURS[arm], label=arm, markersize=3)
            low, high = [each.low for each in found], [each.high for each in found]
            axes.fill_between(steps, low, high, color=COLOURS[arm], alpha=0.2, linewidth=0)
            by_chance = [point.chance[name] for point in points]
            axes.plot(steps, by_chance, ":", color=COLOURS[arm], label=f"{arm}, by chance", linewidth=1)
            briefly = [point for point in curve if point.asked == "brief"]
            found = [point.figures[name] for point in briefly]
            axes.errorbar(
                [point.step for point in briefly],
                [each.value for each in found],
                yerr=[[each.value - each.low for each in found], [each.high - each.value for each in found]],
                fmt="D",
                markersize=4,
                markerfacecolor="white",
                linewidth=1,
                color=COLOURS[arm],
                label=f"{arm}, asked briefly",
            )
        axes.set_title(name if name == "background" else f"{name} F1", fontsize=10)
        axes.set_xlabel("steps")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
    plots[0].legend(fontsize=7, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.savefig(file, dpi=120)
    pyplot.close(sheet)


if __name__ == "__main__":
    main()
