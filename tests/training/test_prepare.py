"""From a hand-off to a run: features computed once, captions chosen when read, what cannot be trained refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.handoff_build import make_handoff, publish
from core.errors import (
    BadCheckpointError,
    BadRecipeError,
    CheckFailedError,
    HubUnreachableError,
    NoSuchPathError,
    NothingToReadError,
    OutOfMemoryError,
)
from shards.store import open_store
from tests.analysis.make_handoff import SPEC, captioned_shard, handed_off
from tests.training.small_encoders import TEXT, small_text_encoder, small_vae
from tests.training.small_handoff import sections
from tests.training.small_run import Silent
from training.buckets import Bucket
from training.loop import Loop
from training.pipelines import save_pipeline
from training.prepare import Prepared, prepare
from training.recipe import Recipe
from training.sampling import Drawing, draw, read_png, save_png
from training.source import decoded


class Counted:
    """A meter that counts what was computed, by name."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self._what = ""

    def begin(self, what: str, total: int) -> None:
        self._what = what
        self.done[what] = 0

    def advance(self, count: int) -> None:
        self.done[self._what] += count


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A hand-off of thirteen samples, and small encoders."""
    folder = tmp_path_factory.mktemp("world")
    _, _, manifest = handed_off(folder / "store")
    return {"handoff": manifest, "vae": small_vae(folder / "vae"), "texts": small_text_encoder(folder / "t5")}


def recipe(world: dict[str, Path], **changes: Any) -> Recipe:
    sections: dict[str, Any] = {
        "data": {"handoff": str(world["handoff"]), "split": "all", "resolution": 32},
        "captions": {"dropout": 0.0, "tokens": 6},
        "model": {"size": "small", "vae": str(world["vae"]), "text_encoder": str(world["texts"])},
        "run": {"steps": 4, "batch": 4, "log_every": 1},
    }
    for name, fields in changes.items():
        sections[name] = sections.get(name, {}) | fields
    return Recipe.model_validate({"method": "pixart", **sections})


def ready(world: dict[str, Path], folder: Path, **changes: Any) -> tuple[Prepared, Counted]:
    meter = Counted()
    return prepare(recipe(world, **changes), folder, meter), meter


def test_features_are_computed_once_and_found_again(world: dict[str, Path], tmp_path: Path) -> None:
    first, meter = ready(world, tmp_path)
    assert meter.done == {"latents": 13, "captions": 13}
    assert len(first.source.samples) == 13
    again, meter = ready(world, tmp_path)
    assert meter.done == {"latents": 0, "captions": 0}
    assert torch.equal(first.task.cached.latent(3), again.task.cached.latent(3))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"captions": {"dropout": 0.9}}, set()),
        ({"run": {"seed": 9}}, set()),
        ({"captions": {"old_text": 0.5}}, {"old texts"}),
        ({"captions": {"tokens": 5}}, {"captions"}),
        ({"data": {"resolution": 64}}, {"latents"}),
        ({"data": {"aspects": "buckets"}, "run": {"batch": 2}}, {"latents"}),
    ],
)
def test_what_makes_a_cache_stale_and_what_does_not(
    world: dict[str, Path], tmp_path: Path, changes: dict[str, Any], stale: set[str]
) -> None:
    ready(world, tmp_path, data={"cache": str(tmp_path / "cache")})
    changes = changes | {"data": changes.get("data", {}) | {"cache": str(tmp_path / "cache")}}
    _, meter = ready(world, tmp_path, **changes)
    assert {what for what, count in meter.done.items() if count} == stale


def test_another_encoder_makes_its_own_cache(world: dict[str, Path], tmp_path: Path) -> None:
    ready(world, tmp_path)
    other = small_vae(tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text().replace('"scaling_factor": 0.5', '"scaling_factor": 0.25'))
    _, meter = ready(world, tmp_path, model={"vae": str(other)})
    assert meter.done == {"latents": 13, "captions": 0}


def test_latents_are_the_vaes_and_texts_the_encoders(world: dict[str, Path], tmp_path: Path) -> None:
    made, _ = ready(world, tmp_path)
    cached = made.task.cached  # type: ignore[union-attr]
    part = made.source.parts[0]
    record, data = next(iter(made.source.images(part)))
    image = decoded(data)
    from PIL import Image

    # 32 x 24 pixels are scaled to cover 32 x 32, and the middle is cut out.
    square = image.resize((43, 32), Image.Resampling.LANCZOS).crop((5, 0, 37, 32))
    expected = made.images.encode([square])[0]
    assert expected.shape == (4, 8, 8)
    torch.testing.assert_close(cached.latent(0), expected, atol=2e-3, rtol=2e-3)
    assert made.texts is not None
    (text,) = made.texts.encode([record.caption or ""], 6)
    assert text.shape == (6, TEXT)
    torch.testing.assert_close(cached.captions[0][0].float(), text, atol=2e-3, rtol=2e-3)
    assert cached.null.shape == (1, TEXT), "no caption is the end token alone"
    assert made.truncated == 13


def test_a_run_ends_in_a_pipeline_that_diffusers_loads_and_that_draws_the_same(
    world: dict[str, Path], tmp_path: Path
) -> None:
    from diffusers import PixArtAlphaPipeline

    from training.pipelines import pipeline

    made, _ = ready(world, tmp_path)
    loop = Loop(made.recipe, made.task, made.epochs, tmp_path, Silent())
    loop.run()
    drawings = [Drawing("a red dog", seed, steps=3, guidance=2.0, width=32, height=32) for seed in (1, 2)]
    with loop.averaged() as model:
        ours = [image for _, image in draw(pipeline(made, model), drawings)]
        folder = save_pipeline(tmp_path, made, model)
    plain = PixArtAlphaPipeline.from_pretrained(folder)
    theirs = plain(
        "a red dog",
        num_inference_steps=3,
        guidance_scale=2.0,
        width=32,
        height=32,
        generator=torch.Generator().manual_seed(2),
        clean_caption=False,
        use_resolution_binning=False,
    ).images[0]
    assert theirs.tobytes() == ours[1].tobytes()
    assert ours[0].tobytes() != ours[1].tobytes()
    save_png(tmp_path / "a.png", ours[0], drawings[0], "run")
    assert read_png(tmp_path / "a.png")["prompt"] == "a red dog"


def test_a_second_stage_begins_with_the_weights_of_the_first(world: dict[str, Path], tmp_path: Path) -> None:
    made, _ = ready(world, tmp_path / "one")
    loop = Loop(made.recipe, made.task, made.epochs, tmp_path / "one", Silent())
    loop.run()
    with loop.averaged() as model:
        save_pipeline(tmp_path / "one", made, model)
        weights = {name: value.clone() for name, value in model.state_dict().items()}
    larger, _ = ready(world, tmp_path / "two", model={"start": str(tmp_path / "one")}, data={"resolution": 64})
    found = larger.task.model.state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert larger.lineage.start is not None
    with pytest.raises(BadCheckpointError, match="2 layers of 2 heads of 8, and model"):
        ready(world, tmp_path / "two", model={"start": str(tmp_path / "one"), "size": "S/2"})


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"data": {"resolution": 36}}, BadRecipeError, "resolution 36 is not divided by 8"),
        ({"data": {"digest": "00000000"}}, CheckFailedError, "another hand-off than the recipe's"),
        ({"model": {"size": "XXL"}}, BadRecipeError, "no size XXL"),
        ({"model": {"size": None}}, BadRecipeError, "model.size is missing"),
        ({"model": {"vae": "/nowhere"}}, NoSuchPathError, "no folder '/nowhere' with a vae"),
        ({"model": {"start": "./nowhere"}}, NoSuchPathError, "no run or model"),
        ({"data": {"split": "all", "aspects": "buckets"}, "run": {"batch": 64}}, NothingToReadError, "no batch of 64"),
        ({"run": {"precision": "fp16"}}, BadRecipeError, "fp16 is for GPUs"),
        ({"model": {"vae": "nobody/nothing"}}, HubUnreachableError, "'nobody/nothing' is not on this machine"),
        ({"model": {"text_encoder": "nobody/t5"}}, HubUnreachableError, "'nobody/t5' is not on this machine"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    world: dict[str, Path], tmp_path: Path, changes: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        ready(world, tmp_path, **changes)


def test_a_changed_byte_is_found_before_anything_is_trained(tmp_path: Path, world: dict[str, Path]) -> None:
    _, handoff, manifest = handed_off(tmp_path / "store")
    place = manifest.parent
    tar = (place / handoff.shards[0].path).resolve()
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.chmod(0o644)
    tar.write_bytes(data)
    with pytest.raises(CheckFailedError, match="its bytes have changed"):
        ready({**world, "handoff": manifest}, tmp_path / "run")


def handoff(folder: Path, **shards: dict[str, Any]) -> Path:
    """The manifest of a hand-off of these shards; each says what `captioned_shard` takes."""
    store = open_store(str(folder))
    keys = [captioned_shard(store, name, **more) for name, more in shards.items()]
    manifest = store.path(publish(store, make_handoff(store, "birds", SPEC, keys)))
    assert manifest is not None
    return manifest


def test_the_only_image_of_a_shape_is_read_in_the_nearest_shape(world: dict[str, Path], tmp_path: Path) -> None:
    wide = {"keys": [f"{n}" for n in range(4)], "sizes": [(64, 32)] * 4}
    square = {"keys": [f"{n}" for n in range(6)], "sizes": [(32, 32)] * 5 + [(32, 60)]}
    given = {**world, "handoff": handoff(tmp_path / "store", a=wide, b=square)}
    said: list[str] = []
    changes = {"data": {"aspects": "buckets", "cache": str(tmp_path / "cache")}, "captions": {"tokens": 60}}
    made = prepare(recipe(given, **_merged(changes, run={"batch": 4})), tmp_path, Counted(), say=said.append)
    assert made.buckets == {Bucket(32, 32): 6, made.shapes.of(64, 32): 4}
    alone = next(at for at, record in enumerate(made.source.samples) if (record.width, record.height) == (32, 60))
    assert made.task.cached.latent(alone).shape == (4, 8, 8)  # type: ignore[union-attr]
    read = {at for epoch in range(8) for batch in made.epochs.order(epoch) for at in batch.tolist()}
    assert read == set(range(10)), "none is never read"
    moved, left = said
    assert moved.startswith("1 samples in 1 shapes are cut to the nearest other shape")
    assert left.startswith("2 of 10 samples are in no full batch of an epoch")

    # A smaller batch cuts that image to its own shape: its shard has another file, the other shard the same.
    small, meter = ready(given, tmp_path, **_merged(changes, run={"batch": 1}))
    assert small.task.cached.latent(alone).shape[1:] != (8, 8)  # type: ignore[union-attr]
    assert meter.done == {"latents": 6, "captions": 0}


def _merged(changes: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    return changes | {"run": run}


def test_cut_captions_are_told_before_anything_is_computed(world: dict[str, Path], tmp_path: Path) -> None:
    said: list[str] = []
    meter = Counted()

    def say(line: str) -> None:
        assert not meter.done
        said.append(line)

    prepare(recipe(world), tmp_path, meter, say=say)
    assert said[0].startswith("13 of 13 captions are longer than 6 tokens")
    assert "captions.tokens" in said[0]


def test_a_handoff_of_empty_captions_is_refused(world: dict[str, Path], tmp_path: Path) -> None:
    manifest = handoff(tmp_path / "store", a={"keys": list("abcd"), "caption": " "})
    with pytest.raises(CheckFailedError, match=r"All 4 captions of the hand-off are empty"):
        ready({**world, "handoff": manifest}, tmp_path / "run")
    assert not (tmp_path / "run").exists(), "nothing was computed"


@pytest.mark.parametrize("method", ["pixart", "dit"])
def test_a_probe_computes_its_own_samples_alone_and_no_cache(
    small: dict[str, Path], tmp_path: Path, method: str
) -> None:
    import numpy as np

    from training.epoch import Cursor
    from training.task import generators

    data = {"cache": str(tmp_path / "cache")}
    asked = Recipe.model_validate(sections(small, method=method, data=data, captions={"dropout": 0.0}))
    meter = Counted()
    made = prepare(asked, tmp_path / "probe", meter, probe=2)
    assert set(meter.done.values()) == {2}
    assert not (tmp_path / "cache").exists()
    assert len(made.source.samples) == 13, "all are counted"
    whole = prepare(asked, tmp_path / "run", Counted())
    places = np.sort(next(iter(whole.epochs.read(0, 1)))[2][:2])
    few = made.task.read(Cursor(0, 0), np.arange(2), generators(0, 0, 0, 2))
    same = whole.task.read(Cursor(0, 0), places, generators(0, 0, 0, 2))
    assert few.keys == same.keys
    assert torch.equal(few.latents, same.latents)
    assert all(torch.equal(few.given[name], same.given[name]) for name in same.given)


def test_an_encoder_whose_answer_is_no_number_is_told_with_the_sample(
    world: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.encoders import ImageEncoder

    plain = ImageEncoder.encode

    def broken(self: ImageEncoder, images: Any) -> torch.Tensor:
        found = plain(self, images).clone()
        found[2, 0, 0, 0] = 70_000.0  # Beyond what half precision holds.
        return found

    monkeypatch.setattr(ImageEncoder, "encode", broken)
    with pytest.raises(BadCheckpointError, match=r"the sample a/0002 holds values that are no numbers"):
        ready(world, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(("encoder", "what"), [("ImageEncoder", "images of 32 x 32"), ("TextEncoder", "texts of up")])
def test_an_encoder_that_does_not_fit_into_memory_is_one_sentence(
    world: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str, what: str
) -> None:
    from training import encoders

    def full(self: Any, *given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(getattr(encoders, encoder), "encode", full)
    with pytest.raises(OutOfMemoryError, match=f"{what}.* do not fit"):
        ready(world, tmp_path)
