"""From a recipe to a run that can begin: the hand-off proven, features computed, the model made.

Leaves out: the steps (loop.py). Serves `densify train` and its `--dry-run`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from core.errors import BadRecipeError, CheckFailedError
from training.buckets import Bucket, Buckets, Waste
from training.class_to_image import ClassToImage, Labelled, label_of, number_by, number_classes
from training.classifier import Classifier
from training.encoders import ImageEncoder, TextEncoder, load_image_encoder, load_text_encoder
from training.epoch import Epochs
from training.features import Features, Which, compute_latents, compute_texts, null_vectors
from training.lineage import Lineage, lineage
from training.models import parameters
from training.processes import is_first, join, mine, wait
from training.recipe import Recipe
from training.source import Part, Source
from training.start import start
from training.text_to_image import Cached, Place, TextToImage

CACHE = "features"


class Meter(Protocol):
    """Hears how far the computing of features is."""

    def begin(self, what: str, total: int) -> None:
        """`what` begins: so many images or texts."""
        ...

    def advance(self, count: int) -> None:
        """So many more are done."""
        ...


@dataclass(frozen=True)
class Prepared:
    """A run that can begin. `truncated`: captions that are longer than is read of them, counted in the first process
    alone."""

    recipe: Recipe
    source: Source
    task: TextToImage | ClassToImage | Classifier
    epochs: Epochs
    lineage: Lineage
    images: ImageEncoder
    texts: TextEncoder | None
    shapes: Buckets
    buckets: Counter[Bucket]
    waste: Waste
    truncated: int

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""
        return parameters(self.task.model)


def prepare(
    recipe: Recipe,
    folder: Path,
    meter: Meter,
    device: torch.device | str = "cpu",
    *,
    say: Callable[[str], None] | None = None,
    probe: int = 0,
) -> Prepared:
    """Everything that a run needs, in memory or in its cache. `folder`: the run's; `say`: hears in the first process,
    before anything is computed, of captions that are cut and samples that are left out, a line each.

    With `probe` the task reads so many samples of the first batch alone (its places 0 to before `probe`); every process
    computes its own, into `folder` and into no cache.

    Raises what reading the hand-off, loading models and making the first model raise; BadRecipeError where the recipe
    and the encoders or the device do not fit; CheckFailedError where all captions are empty; BadCheckpointError and
    OutOfMemoryError where an encoder fails.
    """
    on_cpu = torch.device(device).type == "cpu"
    if on_cpu and recipe.run.precision == "fp16":
        raise BadRecipeError(
            "run.precision fp16 is for GPUs: on a CPU products would silently be fp32.",
            hint="Set run.precision to bf16 or fp32.",
        )
    source = Source(recipe.data.handoff, recipe.data.split, recipe.data.digest)
    dtype = torch.float32 if on_cpu else torch.float16
    images = load_image_encoder(recipe.model.vae, device, dtype)
    texts = load_text_encoder(recipe.model.text_encoder, device, dtype) if recipe.method == "pixart" else None
    sizes = [(each.width or 1, each.height or 1) for each in source.samples]
    shapes = _shapes(recipe, images).filled(sizes, recipe.run.batch)
    buckets, waste = shapes.waste(sizes, recipe.run.batch)
    epochs = _epochs(recipe, source, shapes)
    truncated = _check_texts(source, texts, recipe) if texts else 0
    if say and is_first():
        for line in _remarks(recipe, len(sizes), waste, truncated):
            say(line)
    names, labels = ([], []) if texts else _classes(recipe, source)
    model, identity, licences = start(
        recipe,
        side=recipe.data.resolution // images.factor,
        channels=images.channels,
        text=texts.width if texts else 0,
        classes=len(names),
    )
    read = _of_first_batch(source, epochs, probe) if probe else source
    if probe and names:
        labels = number_by(names, _labels(recipe, read))
    features = _Cache(folder if probe else _cache(recipe, folder), meter, alone=bool(probe))
    latents = _latents(recipe, read, features, images, shapes)
    task: TextToImage | ClassToImage | Classifier
    if texts:
        task = TextToImage(recipe, model, _cached(recipe, read, features, texts, latents))
    else:
        kind = Classifier if recipe.method == "classifier" else ClassToImage
        task = kind(recipe, model, _labelled(read, latents, labels), names)
    encoders = {"vae": images.identity} | ({"text_encoder": texts.identity} if texts else {})
    told = lineage(recipe, source.handoff, encoders, identity, licences)
    return Prepared(recipe, source, task, epochs, told, images, texts, shapes, buckets, waste, truncated)


def task_over(
    prepared: Prepared, recipe: Recipe, source: Source, folder: Path, meter: Meter
) -> TextToImage | ClassToImage | Classifier:
    """The run's task over other samples, with its model, its encoders, its shapes and its classes; features are
    computed.

    Raises BadFieldError where a sample is of a class that the run does not know, and what reading raises.
    """
    features = _Cache(_cache(recipe, folder), meter)
    latents = _latents(recipe, source, features, prepared.images, prepared.shapes)
    task = prepared.task
    if isinstance(task, TextToImage):
        assert prepared.texts is not None, "captions are read by a text encoder"
        return TextToImage(recipe, task.model, _cached(recipe, source, features, prepared.texts, latents))
    return type(task)(recipe, task.model, _labelled(source, latents, labels_over(prepared, source)), task.names)


def labels_over(prepared: Prepared, source: Source) -> list[int]:
    """The numbers of the classes of other samples; none where a run learns from captions.

    Raises BadFieldError where a sample is of a class that the run does not know, and what reading raises.
    """
    task = prepared.task
    return [] if isinstance(task, TextToImage) else number_by(task.names, _labels(prepared.recipe, source))


def _remarks(recipe: Recipe, samples: int, waste: Waste, truncated: int) -> Iterator[str]:
    """What is not read as it stands in the hand-off, a line each."""
    if truncated:
        tokens = recipe.captions.tokens
        yield (
            f"{truncated:,} of {samples:,} captions are longer than {tokens} tokens, and their ends are not read: "
            "raise captions.tokens, or caption again with fewer words."
        )
    if waste.moved:
        yield (
            f"{waste.moved:,} samples in {waste.merged} shapes are cut to the nearest other shape: "
            f"their own have fewer samples than run.batch, {recipe.run.batch:,}."
        )
    if waste.left_over:
        yield (
            f"{waste.left_over:,} of {samples:,} samples are in no full batch of an epoch; which they are is drawn "
            "anew in each: a smaller run.batch leaves fewer."
        )


def _of_first_batch(source: Source, epochs: Epochs, count: int) -> Source:
    """So many samples of the first batch, other ones for every process."""
    ((_, _, places),) = epochs.read(0, 1)
    first = join()[0] * count % len(places)
    return source.only(places[first : first + count].tolist())


@dataclass(frozen=True)
class _Cache:
    """Where features are computed into, and who does it: the processes of a run share the work, or each is alone."""

    folder: Path
    meter: Meter
    alone: bool = False

    def of(self, what: str, source: Source, compute: Callable[[Part], Path]) -> list[Features]:
        """The features of every shard."""
        some = source.parts if self.alone else mine(source.parts)
        self.meter.begin(what, sum(len(part.records) for part in some))
        for part in some:
            compute(part)
        if not self.alone:
            wait()
        return [Features(compute(part)) for part in source.parts]


def _cache(recipe: Recipe, folder: Path) -> Path:
    cache = Path(recipe.data.cache) if recipe.data.cache else folder / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _latents(recipe: Recipe, source: Source, features: _Cache, images: ImageEncoder, shapes: Buckets) -> list[Features]:
    def compute(part: Part) -> Path:
        return compute_latents(
            features.folder, source, part, images, shapes, recipe.data.workers, features.meter.advance
        )

    return features.of("latents", source, compute)


def _shapes(recipe: Recipe, images: ImageEncoder) -> Buckets:
    # A patch of two latent values is what every named size has.
    step = images.factor * 2
    if recipe.data.resolution % step:
        raise BadRecipeError(
            f"data.resolution {recipe.data.resolution} is not divided by {step}: the VAE's factor of {images.factor} "
            "times the patch of 2.",
            hint=f"Nearest: {max(step, round(recipe.data.resolution / step) * step)}.",
        )
    if recipe.data.aspects == "square":
        return Buckets(recipe.data.resolution, step, ratios=1)
    return Buckets(recipe.data.resolution, step)


def _check_texts(source: Source, texts: TextEncoder, recipe: Recipe) -> int:
    """How many captions are longer than is read of them, in the first process; 0 in the others, which need no count.

    Raises CheckFailedError where none says anything.
    """
    captions = [record.caption or "" for record in source.samples]
    if not any(caption.strip() for caption in captions):
        raise CheckFailedError(
            f"All {len(captions):,} captions of the hand-off are empty: there is nothing to learn from them.",
            hint="Caption the data set again; `densify density` shows what captions hold.",
        )
    if not is_first():
        return 0
    limit = recipe.captions.tokens
    batches = (captions[at : at + 1024] for at in range(0, len(captions), 1024))
    return sum(length > limit for batch in batches for length in texts.lengths(batch))


def _cached(
    recipe: Recipe, source: Source, features: _Cache, texts: TextEncoder, latents: Sequence[Features]
) -> Cached:
    # Rates do not matter here: a cache serves every rate.
    kinds: tuple[Which, ...] = ("caption", "old_text") if recipe.captions.old_text else ("caption",)
    found: dict[Which, list[Features]] = {}
    for which in kinds:
        compute = partial(
            compute_texts,
            features.folder,
            encoder=texts,
            which=which,
            tokens=recipe.captions.tokens,
            told=features.meter.advance,
        )
        found[which] = features.of({"caption": "captions", "old_text": "old texts"}[which], source, compute)
    places = [
        Place(record.key, file, item, bool(record.old_text))
        for file, part in enumerate(source.parts)
        for item, record in enumerate(part.records)
    ]
    null = null_vectors(texts).to("cpu", torch.float32)
    return Cached(places, latents, found["caption"], found.get("old_text", []), null)


def _labels(recipe: Recipe, source: Source) -> list[str]:
    return [
        label_of(data, recipe.data.label, record.key) for part in source.parts for record, data in source.fields(part)
    ]


def _classes(recipe: Recipe, source: Source) -> tuple[list[str], list[int]]:
    return number_classes(_labels(recipe, source))


def _labelled(source: Source, latents: Sequence[Features], labels: Sequence[int]) -> Labelled:
    rows = [
        (record.key, file, item) for file, part in enumerate(source.parts) for item, record in enumerate(part.records)
    ]
    keys, files, items = zip(*rows, strict=True)
    return Labelled(keys, files, items, labels, latents)


def _epochs(recipe: Recipe, source: Source, shapes: Buckets) -> Epochs:
    numbers = {shape: number for number, shape in enumerate(shapes.shapes)}
    return Epochs(
        [file for file, part in enumerate(source.parts) for _ in part.records],
        [numbers[shapes.of(record.width or 1, record.height or 1)] for record in source.samples],
        batch=recipe.run.batch,
        window=recipe.data.shuffle,
        seed=recipe.run.seed,
    )
