"""A run small enough for a test: random latents and texts in feature files, a PixArt of two blocks.

`python -m tests.training.small_run FOLDER` trains it to its end, and says every step that it took.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from training.epoch import Epochs
from training.features import Features, write_features
from training.loop import Loop, Told
from training.models import Size, pixart
from training.recipe import Recipe
from training.text_to_image import Cached, Place, TextToImage

SIZE = Size(2, 2, 8, text=12, side=8)
SAMPLES = 20


class Silent:
    """Hears everything and says nothing; `heard` has it."""

    def __init__(self) -> None:
        self.heard: list[Told] = []

    def told(self, said: Told) -> None:
        self.heard.append(said)

    def stepped(self, step: int) -> None:
        pass


class Loud(Silent):
    def stepped(self, step: int) -> None:
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()


def recipe(**changes: Any) -> Recipe:
    """Twelve steps of four images. `changes`: fields of sections, as in run={"steps": 3}."""
    sections: dict[str, Any] = {
        "data": {"handoff": "none"},
        "captions": {"dropout": 0.3, "old_text": 0.2},
        "optimiser": {"name": "muon", "rate": 1e-3, "schedule": "decay", "warmup": 2},
        "run": {"steps": 12, "batch": 4, "ema": 0.9, "save_every": 3, "log_every": 1, "seed": 5},
    }
    for name, fields in changes.items():
        sections[name] = sections.get(name, {}) | fields
    return Recipe.model_validate({"method": "pixart", **sections})


def cached(folder: Path) -> Cached:
    """Features of SAMPLES random samples in two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = torch.Generator().manual_seed(0)
    made: dict[str, list[Features]] = {"latents": [], "captions": [], "old": []}
    half = SAMPLES // 2
    for shard in range(2):
        for name, items in (
            # All much alike: there is something to learn.
            ("latents", [1 + 0.1 * torch.randn(4, 8, 8, generator=chance) for _ in range(half)]),
            ("captions", [torch.randn(1 + item % 5, 12, generator=chance) for item in range(half)]),
            ("old", [torch.randn(2, 12, generator=chance) for _ in range(half)]),
        ):
            file = folder / f"{name}-{shard}.safetensors"
            write_features(file, items, {})
            made[name].append(Features(file))
    places = [Place(f"key{at}", at // half, at % half, at % 3 > 0) for at in range(SAMPLES)]
    return Cached(places, made["latents"], made["captions"], made["old"], torch.ones(1, 12))


def loop(folder: Path, given: Recipe, observer: Silent | None = None) -> Loop:
    """The run in a folder, from its newest state."""
    torch.manual_seed(1)
    task = TextToImage(given, pixart(SIZE), cached(folder / "features"))
    places = task.cached.places
    epochs = Epochs(
        [place.file for place in places], [0] * SAMPLES, batch=given.run.batch, window=8, seed=given.run.seed
    )
    return Loop(given, task, epochs, folder, observer or Silent())


def weights(of: Loop) -> dict[str, torch.Tensor]:
    """Weights and averages of a run, by name."""
    found = {f"weights.{name}": value.clone() for name, value in of.task.model.state_dict().items()}
    with of.averaged() as model:
        return found | {f"average.{name}": value.clone() for name, value in model.state_dict().items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    loop(Path(sys.argv[1]), recipe(), Loud()).run()
