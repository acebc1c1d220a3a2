"""A classifier of noised latents: right where something is left to see, at chance where nothing is, and it steers."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import BadRecipeError
from tests.training.mixture import Mixture
from tests.training.small_run import Silent
from training.class_to_image import Labelled
from training.classifier import Classifier, classifier, logits
from training.epoch import Epochs
from training.features import Features, write_features
from training.guided import Guide, Wanted, draw_latents
from training.loop import Loop
from training.models import Size
from training.objective import Learning
from training.recipe import Recipe
from training.recipe_files import load

SIZE = Size(2, 2, 8, side=8)
SAMPLES, SPREAD, STEPS = 64, 0.1, 1000
#: Two classes of constant latents.
MEANS = torch.tensor([-0.3, 0.3])[:, None, None, None].expand(2, 4, 8, 8)


def recipe(**changes: Any) -> Recipe:
    sections: dict[str, Any] = {
        "data": {"handoff": "none"},
        "model": {"size": "S/2"},
        "optimiser": {"rate": 3e-3, "warmup": 5, "schedule": "cosine"},
        "run": {"steps": 300, "batch": 32, "ema": 0, "save_every": 1000, "log_every": 10},
    }
    for name, fields in changes.items():
        sections[name] = sections.get(name, {}) | fields
    return Recipe.model_validate({"method": "classifier", **sections})


def task(folder: Path, given: Recipe) -> Classifier:
    chance = torch.Generator().manual_seed(0)
    classes = [at % 2 for at in range(SAMPLES)]
    file = folder / "latents.safetensors"
    write_features(file, [MEANS[at] + SPREAD * torch.randn(4, 8, 8, generator=chance) for at in classes], {})
    labelled = Labelled([f"k{at}" for at in range(SAMPLES)], [0] * SAMPLES, range(SAMPLES), classes, [Features(file)])
    torch.manual_seed(0)
    return Classifier(given, classifier(SIZE, 2), labelled, ["dark", "light"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Silent]:
    """Trained by the loop in seconds, and what was said of it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    given, heard = recipe(), Silent()
    made = task(folder, given)
    loop = Loop(given, made, Epochs([0] * SAMPLES, [0] * SAMPLES, batch=32, window=64, seed=0), folder, heard)
    loop.run()
    made.model.eval()
    return made, heard


@torch.no_grad()
def right(made: Classifier, place: float) -> tuple[float, float]:
    """(share of images that it tells rightly, mean cross entropy) at a place from image, 0, to noise, 1."""
    chance = torch.Generator().manual_seed(9)
    classes = torch.arange(256) % 2
    clean = MEANS[classes] + SPREAD * torch.randn(256, 4, 8, 8, generator=chance)
    noise = torch.randn(clean.shape, generator=chance)
    noised = made.learning.noised(clean, noise, torch.full((256,), place))
    said = logits(made.model, noised.latents, noised.times, STEPS)
    entropy = torch.nn.functional.cross_entropy(said, classes)
    return float((said.argmax(1) == classes).float().mean()), float(entropy)


def test_it_is_right_at_low_noise_and_at_chance_in_full_noise(trained: tuple[Classifier, Silent]) -> None:
    made, heard = trained
    assert heard.heard[0].loss > 2 * heard.heard[-1].loss, "it learnt by the loop"
    assert right(made, 0.1)[0] > 0.98
    assert right(made, 0.5)[0] > 0.95
    at_noise, entropy = right(made, 1.0)
    assert at_noise == pytest.approx(0.5, abs=0.12)
    assert math.log(2) - 0.05 < entropy < 1.3, "nobody guesses better, and it is not sure of its guesses"
    assert right(made, 0.1)[1] < right(made, 0.8)[1] < entropy


def test_guidance_moves_samples_to_the_class_the_more_the_larger_its_scale(
    trained: tuple[Classifier, Silent],
) -> None:
    made, _ = trained
    scheduler = made.learning.sampler()
    pipeline = SimpleNamespace(transformer=Mixture(MEANS, SPREAD, scheduler), scheduler=scheduler)
    guide = Guide(made.model.requires_grad_(False), {}, STEPS)
    noise = torch.randn(64, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    for number in (0, 1):
        classes = torch.full((64,), number)
        wanted = Wanted(classes, torch.full_like(classes, 2), classes)
        shares = []
        for scale in (0.0, 0.3, 3.0):
            # Without classes of its own: all that it knows of them comes from the classifier.
            drawn = draw_latents(pipeline, wanted, noise, 20, 0.0, guide, scale)
            shares.append(float(((drawn.mean((1, 2, 3)) > 0) == bool(number)).float().mean()))
        assert shares[0] == pytest.approx(0.5, abs=0.2)
        assert shares[0] + 0.05 < shares[1] <= shares[2]
        assert shares[2] > 0.9


def test_the_gradient_leads_to_the_class(trained: tuple[Classifier, Silent]) -> None:
    made, _ = trained
    guide = Guide(made.model, {}, STEPS)
    latents = 0.5 * torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    times, classes = torch.full((8,), 600.0), torch.tensor([0, 1] * 4)
    found = guide.gradient(latents, times, classes)

    def likely(of: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return logits(made.model, of, times, STEPS).log_softmax(1).gather(1, classes[:, None])[:, 0]

    length = found.flatten(1).norm(dim=1)
    step = 0.01 * found / length[:, None, None, None]
    rise = (likely(latents + step) - likely(latents - step)) / 0.02
    torch.testing.assert_close(rise, length, rtol=0.05, atol=1e-3)


def test_it_meets_the_same_noise_as_the_dit_and_no_class_is_dropped(tmp_path: Path) -> None:
    from training.epoch import Cursor
    from training.task import generators

    made = task(tmp_path, recipe(captions={"dropout": 1.0}, objective={"kind": "epsilon", "min_snr": 5.0}))
    assert isinstance(made.learning, Learning)
    batch = made.read(Cursor(0, 0), torch.tensor([3, 4, 9]).numpy(), generators(0, 0, 0, 3))
    assert batch.given["classes"].tolist() == [1, 0, 1]
    assert batch.keys == ("k3", "k4", "k9")
    losses = made.losses(made.model, batch)
    assert losses.shape == (3,)
    assert losses.detach().numpy() == pytest.approx(math.log(2), abs=0.3), "the loss has no weights"


def test_it_is_saved_and_loaded_by_its_library_with_the_names_of_its_classes(tmp_path: Path) -> None:
    from transformers import AutoModelForImageClassification

    made = task(tmp_path, recipe())
    made.model.eval().save_pretrained(tmp_path / "model")
    again: Any = AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    assert again.config.id2label == {0: "dark", 1: "light"}
    latents, times = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 900.0])
    with torch.no_grad():
        said = logits(made.model, latents, times, STEPS)
        assert torch.equal(said, logits(again.eval(), latents, times, STEPS))
        assert not torch.equal(said, logits(made.model, latents, times.flip(0), STEPS)), "it is told the time"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("model.start=run", "begins anew"),
        ("data.aspects=buckets", "one shape"),
        ("run.checkpointing=true", "is small"),
        ("previews.every=10", "draws nothing"),
    ],
)
def test_what_a_classifier_cannot_do_is_one_sentence(tmp_path: Path, change: str, says: str) -> None:
    from training.recipe_files import dump

    file = tmp_path / "r.yaml"
    file.write_text(dump(recipe()))
    assert load(str(file)).method == "classifier"
    with pytest.raises(BadRecipeError, match=says):
        load(str(file), [change])
