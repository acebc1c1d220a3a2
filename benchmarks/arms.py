"""What experiments on captions share: an arm trained as `densify train` does, pictures drawn, and captioned again.

An arm is a run of the demo's PixArt that differs from the other in one field; data, seed, steps and features are the
same. What was drawn is captioned by the LLaVA that ships, and its captions are held against the scenes that the prompts
said. Serves caption_dropout.py and dense_vs_sparse.py.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from PIL import Image

from cli.evaluate import Captioner
from core.spec import DEMO_MODEL
from scenes.captions import dense
from scenes.graph import Scene
from scenes.scorer import FactScore, Figure, Scores, score
from training import recipe_files
from training.alignment import WORLDS, drawings_of, unseen_scenes
from training.drawable import side_of
from training.lineage import claim
from training.loop import Loop, Told
from training.pipelines import pipeline
from training.prepare import prepare
from training.sampling import draw

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURES = REPOSITORY / "docs" / "training"
RESOLUTION = 64
#: Names the scenes that are drawn; training, tests, the demo and the judge of LLaVA draw from other seeds.
SEED = 20_261_122
FACTS = ("noun", "colour", "position")

Things = Literal["large", "all"]
#: What `--things` says, as densify evaluate names it.
WORLD: dict[Things, str] = dict(zip(("large", "all"), WORLDS, strict=True))
#: Called with the step and the pipeline of the averaged model.
Look = Callable[[int, Any], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """`captions`: those fields of its recipe that arms differ in. Its folder is named after them, so that experiments
    that share an arm (and a work folder) train it once."""

    captions: dict[str, float]

    @property
    def name(self) -> str:
        fields = {"dropout": 0.1, "old_text": 0.0} | self.captions
        return "-".join(f"{field}-{value:g}" for field, value in fields.items())


# ---- the command line -----------------------------------------------------------------------------------------------


def arguments(description: str | None, *, steps: int, prompts: int, things: Things) -> argparse.ArgumentParser:
    """The options that experiments share, with these defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--handoff", metavar="MANIFEST", help="what is learnt from (default: that of `densify demo`)")
    parser.add_argument("--start", metavar="RUN", help="a run or a pipeline's folder to begin with (default: none)")
    parser.add_argument("--steps", type=int, default=steps, help=f"steps of each arm (default: {steps:,})")
    parser.add_argument("--batch", type=int, default=64, help="images of a step (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of both arms (default: 0)")
    parser.add_argument("--prompts", type=int, default=prompts, help=f"scenes that are drawn (default: {prompts})")
    parser.add_argument(
        "--things",
        choices=["large", "all"],
        default=things,
        help=f"large: one or two large things a scene; all: the whole world (default: {things})",
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the arms here; one that was stopped goes on")
    parser.add_argument("--only", metavar="ARM", help="train this arm and end, for two arms at once in one --work")
    parser.add_argument("--kit", default="demo", metavar="DIR", help="folder with a vae and a text_encoder (demo)")
    parser.add_argument("--trial", action="store_true", help="two steps, two prompts, to see that it works")
    return parser


@contextlib.contextmanager
def work_folder(options: argparse.Namespace) -> Iterator[Path]:
    """Where the arms and their features are; a temporary folder where none is named."""
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
        yield options.work
        return
    with tempfile.TemporaryDirectory(prefix="densify-arms-") as name:
        yield Path(name)


def command(script: str, options: argparse.Namespace, defaults: argparse.ArgumentParser) -> str:
    """The command line as RESULTS.md tells it: what differs from the defaults, folders by their last name."""
    told = [f"python benchmarks/{script}.py"]
    for name, value in vars(options).items():
        if value != defaults.get_default(name) and name not in ("work", "trial", "only"):
            told.append(f"--{name} {Path(value).name if name in ('handoff', 'start', 'kit') else value}")
    return " ".join(told)


def manifest_of(options: argparse.Namespace) -> Path:
    """The hand-off's manifest."""
    if options.handoff:
        return Path(options.handoff)
    found = sorted((Path("demo") / "handoff" / "handoffs").glob("*.json"))
    if not found:
        raise SystemExit("There is no demo/handoff: run `densify demo` first, or name a manifest with --handoff.")
    return found[-1]


def chosen(arms: Mapping[str, Arm], options: argparse.Namespace) -> dict[str, Arm]:
    """The arms, by what they are called in the table, or that of `--only`.

    Raises:
        SystemExit: There is no such arm.
    """
    names = {arm.name for arm in arms.values()}
    if options.only is not None and options.only not in names:
        raise SystemExit(f"There is no arm {options.only}: there are {', '.join(sorted(names))}.")
    return {called: arm for called, arm in arms.items() if options.only in (None, arm.name)}


# ---- training -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def trained(arm: Arm, options: argparse.Namespace, work: Path, looks: Sequence[tuple[int, Look]] = ()) -> Iterator[Any]:
    """The pipeline of an arm at its last step, with averaged weights. `looks`: (every so many steps, what is called).

    Raises what densify train raises.
    """
    run = work / arm.name
    run.mkdir(parents=True, exist_ok=True)
    file = run / "asked.yaml"
    file.write_text(yaml.safe_dump(_fields(arm, options, work)))
    asked = recipe_files.load(str(file))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = prepare(asked, run, _Silent(), device)
    claim(run, made.lineage)

    def watched(look: Look) -> Callable[[int, Any], None]:
        return lambda step, model: look(step, pipeline(made, model))

    watches = tuple((every, watched(look)) for every, look in looks)
    loop = Loop(asked, made.task, made.epochs, run, _Said(arm.name, asked.run.steps), watches)
    loop.run()
    with loop.averaged() as model:
        yield pipeline(made, model)


def _fields(arm: Arm, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """The arm's recipe: flow matching and Muon, constant, then down over the last third."""
    fields: dict[str, Any] = {
        "data": {"handoff": str(manifest_of(options)), "resolution": RESOLUTION, "cache": str(work / "features")},
        "captions": {"dropout": 0.1, "old_text": 0.0} | arm.captions,
        "model": {"start": options.start} if options.start else {"size": "demo"},
        "objective": {"kind": "flow", "times": "logit_normal"},
        "optimiser": {
            "name": "muon",
            "rate": 1e-3,
            "matrix_rate": 3e-3,
            "schedule": "decay",
            "warmup": min(100, options.steps // 10),
        },
        "run": {
            "steps": options.steps,
            "batch": options.batch,
            "precision": "bf16",
            "ema": 0.997,
            "seed": options.seed,
            "save_every": min(500, options.steps),
            "keep": 1,
        },
    }
    fields["model"] |= {"vae": options.kit, "text_encoder": options.kit}
    return {"method": "pixart", **fields}


class _Said:
    """Says now and then how far an arm is."""

    def __init__(self, name: str, steps: int) -> None:
        self._name, self._steps = name, steps

    def told(self, said: Told) -> None:
        print(f"{self._name}: step {said.step} of {self._steps}, loss {said.loss:.4f}, {said.images_per_second:.0f}/s")

    def stepped(self, step: int) -> None:
        """Too often to be told."""


class _Silent:
    def begin(self, what: str, total: int) -> None:
        print(f"{what}: {total:,}")

    def advance(self, count: int) -> None:
        """Too often to be told."""


# ---- drawing and reading --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures of scenes, and the standard deviation of their latents as the VAE's encoder scales them (about 1)."""

    images: list[Image.Image]
    spread: float


def scenes_of(options: argparse.Namespace) -> list[Scene]:
    """The scenes that are asked for."""
    return unseen_scenes(options.prompts, WORLD[options.things], SEED)


def drawn(
    pipeline: Any,
    scenes: Sequence[Scene],
    *,
    guidance: float,
    steps: int,
    seed: int,
    asked: Callable[[Scene], str] = dense,
) -> Drawn:
    """A picture of each scene, from its dense caption or what `asked` says; picture i begins with the noise of `seed` +
    i."""
    drawings = drawings_of(scenes, side_of(pipeline), guidance=guidance, steps=steps, seed=seed, asked=asked)
    with _overheard(pipeline) as latents:
        images = [image for _, image in draw(pipeline, drawings)]
    return Drawn(images, float(torch.cat(latents).std()))


@contextlib.contextmanager
def _overheard(pipeline: Any) -> Iterator[list[torch.Tensor]]:
    """The latents that the pipeline's VAE decodes meanwhile, scaled as the model makes them."""
    vae, heard = pipeline.vae, []
    decode = vae.decode

    def listening(latents: torch.Tensor, *more: Any, **named: Any) -> Any:
        heard.append((latents * vae.config.scaling_factor).float().cpu())
        return decode(latents, *more, **named)

    vae.decode = listening
    try:
        yield heard
    finally:
        del vae.decode


def read_again(scenes: Sequence[Scene], images: Sequence[Image.Image]) -> Scores:
    """What LLaVA's captions of the pictures say rightly of the scenes."""
    return score(zip(scenes, Captioner()(images), strict=True))


def figures(scores: Scores) -> dict[str, Figure]:
    """F1 of nouns, colours and positions, and the share of right backgrounds, with their 95 % intervals."""
    facts: dict[str, FactScore] = {name: getattr(scores, name) for name in FACTS}
    return {name: fact.f1 for name, fact in facts.items()} | {"background": scores.background}


def told(found: Mapping[str, Figure], chance: Mapping[str, float] | None = None) -> str:
    """The figures in a cell of a table, intervals in brackets, what chance would be in parentheses."""
    by_chance = {name: f" ({value:.3f})" for name, value in (chance or {}).items()}
    return ", ".join(
        f"{name} {each.value:.3f} [{each.low:.3f}, {each.high:.3f}]{by_chance.get(name, '')}"
        for name, each in found.items()
    )


def about(options: argparse.Namespace) -> str:
    """What both arms share, in sentences, for the note under a table."""
    begin = f"from {Path(options.start).name}" if options.start else "from scratch"
    what = "one or two large things each" if options.things == "large" else "the whole world"
    return (
        f"Both arms: the demo's PixArt {begin}, {options.steps:,} steps of {options.batch} images of "
        f"{manifest_of(options).stem}, {RESOLUTION} x {RESOLUTION} pixels, the same seed, noise and order. Scored: "
        f"{options.prompts} unseen scenes ({what}), drawn from their dense captions, captioned again by {DEMO_MODEL}; "
        "F1 of nouns, of colours with their noun, of positions with their noun; share of right backgrounds; 95 % "
        "intervals over the scenes. One run of each arm: how far other seeds differ is not in the intervals."
    )
