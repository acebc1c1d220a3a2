"""Old text against LLaVA's captions: the same model, seed and steps, and how well each learns to draw what is asked.

    python benchmarks/dense_vs_sparse.py [--handoff MANIFEST] [--start RUN] [--steps 10000] [--things all] [--trial]

PixArt-alpha's core claim in small: dense captions teach a model what is in a picture, web text hardly does. One arm
reads each sample's old text (captions.old_text 1), the other its caption (0); at five points of training both draw the
dense captions of unseen scenes. The table goes to RESULTS.md, the curves to docs/training/dense_vs_sparse.png.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arms import (
    PICTURES,
    Arm,
    about,
    arguments,
    chosen,
    command,
    figures,
    scenes_of,
    told,
    trained,
    work_folder,
)
from record import record

from cli.evaluate import Captioner
from scenes.captions import dense
from scenes.graph import Scene
from scenes.scorer import Figure, Scores, score
from training.alignment import alignment

#: By name in the table; old_text: the share of samples that are read with it.
ARMS = {"old text": Arm({"old_text": 1.0}), "LLaVA's captions": Arm({"old_text": 0.0})}
#: Points of training; sampling steps; guidance; the noise that the first picture begins with.
POINTS, STEPS, GUIDANCE, NOISE = 5, 20, 3.0, 1000
TITLE = "Old text against dense captions"
COLOURS = {"old text": "#b5651d", "LLaVA's captions": "#1d6fb5"}

#: By step the figures by name.
Curve = dict[int, dict[str, Figure]]


def main() -> None:
    parser = arguments(__doc__, steps=10_000, prompts=256, things="large")
    options = parser.parse_args()
    line = command("dense_vs_sparse", options, parser)
    if options.trial:
        options.steps, options.batch, options.prompts = 2, 4, 2
    scenes, caption = scenes_of(options), Captioner()
    every = max(1, options.steps // POINTS)
    curves: dict[str, Curve] = {}
    with work_folder(options) as work:
        for name, arm in chosen(ARMS, options).items():
            points = work / arm.name / f"points-{options.things}.jsonl"

            def look(step: int, pipeline: Any, points: Path = points, name: str = name) -> None:
                scores = alignment(pipeline, scenes, caption, guidance=GUIDANCE, steps=STEPS, seed=NOISE)
                found = {fact: [each.value, each.low, each.high] for fact, each in figures(scores).items()}
                with points.open("a") as file:
                    file.write(json.dumps({"step": step, "figures": found}) + "\n")
                print(f"{name}, step {step}: noun {scores.noun.f1.value:.3f}")

            with trained(arm, options, work, [(every, look)]) as pipeline:
                # Written down as they come, so that an arm that was stopped has its first points too.
                if options.steps not in read_points(points):
                    look(options.steps, pipeline)
                curves[name] = read_points(points)
            missing = [step for step in range(every, options.steps, every) if step not in curves[name]]
            if missing:
                raise SystemExit(
                    f"The arm {arm.name} in {work} has steps that nobody looked at: {missing}. Name another --work, or "
                    "run this script before others that share its arm."
                )
    if options.only:
        return
    chance = figures(by_chance(scenes))
    if not options.trial:
        plot(curves, chance, PICTURES / "dense_vs_sparse.png")
    record(
        f"{TITLE} ({'large things' if options.things == 'large' else 'the whole world'})",
        line,
        [*table(curves), ("chance", told(chance))],
        f"{about(options)} Guidance {GUIDANCE:g}, {STEPS} steps of DPM-Solver++. Prompts are dense captions for both: "
        "what is asked for is the same. Chance: true captions of other scenes, each held against the next one's.",
        trial=options.trial,
    )


def by_chance(scenes: Sequence[Scene]) -> Scores:
    """What is right of a picture that shows another scene of the same kind."""
    return score((scene, dense(other)) for scene, other in zip(scenes, [*scenes[1:], scenes[0]], strict=True))


def read_points(file: Path) -> Curve:
    """The points of an arm; of one that was measured twice the last."""
    if not file.is_file():
        return {}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {line["step"]: {name: Figure(*each) for name, each in line["figures"].items()} for line in lines}


def table(curves: Mapping[str, Curve]) -> list[tuple[str, str]]:
    """A row for each point of each arm."""
    return [(f"{arm}, step {step:,}", told(curve[step])) for arm, curve in curves.items() for step in sorted(curve)]


def plot(curves: Mapping[str, Curve], chance: Mapping[str, Figure], file: Path) -> None:
    """A small plot for each figure, with both arms, their intervals and what chance would be."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(next(iter(next(iter(curves.values())).values())))
    sheet, plots = pyplot.subplots(1, len(names), figsize=(3 * len(names), 3), sharey=True, layout="constrained")
    for axes, name in zip(plots, names, strict=True):
        for arm, curve in curves.items():
            steps = sorted(curve)
            found = [curve[step][name] for step in steps]
            axes.plot(steps, [each.value for each in found], "o-", color=COLOURS[arm], label=arm, markersize=3)
            low, high = [each.low for each in found], [each.high for each in found]
            axes.fill_between(steps, low, high, color=COLOURS[arm], alpha=0.2, linewidth=0)
        axes.axhline(chance[name].value, color="#777777", linestyle=":", linewidth=1, label="chance")
        axes.set_title(name if name == "background" else f"{name} F1", fontsize=10)
        axes.set_xlabel("steps")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
    plots[0].legend(fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.savefig(file, dpi=120)
    pyplot.close(sheet)


if __name__ == "__main__":
    main()
