"""Data for training: batches of cached features, and pictures on their way to the VAE, against bare webdataset.

    python benchmarks/training_data.py [--images 2048] [--rounds 3] [--trial]

Pictures: from a hand-off's shards, decoded, scaled to cover 256 pixels and cut (what `densify train` does before it
encodes, proof of the shards' bytes included), against webdataset's own pipeline over the same tars with the same
resize: on one core, and on two (two threads against two processes of webdataset's loader). Features: batches of 64 from
files of the size that the demo's encoders and PixArt's (T5-XXL, 120 tokens) make. All in processes of their own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from record import alone, cores, record
from scene_handoff import hand_off_scenes

RESOLUTION, BATCH, SHARDS = 256, 64, 8
#: Of pictures, in pixels: as large as those that one trains on at this resolution.
SIDES = (256, 512)
#: (whose encoders, side of a latent, tokens, channels of a token).
FEATURES = (("the demo's", 16, 80, 128), ("PixArt's", 32, 120, 4096))


@dataclass(frozen=True, slots=True)
class Pass:
    """`speed`: images per second of one pass over all; `pixels`: a sum over them that order does not change."""

    speed: float
    pixels: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trial", action="store_true", help="16 images, one round; nothing is recorded")
    options = parser.parse_args()
    images, rounds = (16, 1) if options.trial else (options.images, options.rounds)
    with tempfile.TemporaryDirectory(prefix="densify-data-") as name:
        folder = Path(name)
        manifest = hand_off_scenes(folder, images, 2 if options.trial else SHARDS, seed=78, sides=SIDES)
        rows, theirs = pictures(manifest, rounds)
        # A gigabyte of PixArt's features is a thousand images.
        rows += features(folder, max(16, images // 4), rounds, theirs)
    record(
        "Data for training",
        "python benchmarks/training_data.py" + (f" --images {options.images}" if options.images != 2048 else ""),
        [("images", f"{rounds} rounds of {images}, longer side {SIDES[0]} to {SIDES[1]} pixels, JPEG"), *rows],
        f"Pictures: decoded, scaled (Lanczos) to cover {RESOLUTION} x {RESOLUTION}, cut; by Pillow in both. Densify "
        "also proves each tar's hash and asks each picture's header before it decodes. Features: random values in half "
        f"precision, {max(16, images // 4)} images, batches of {BATCH}, in one thread, as the loop reads them one "
        "step ahead; files lie in the system's cache. Ratios are round by round, speeds are medians; only "
        "ratios of one run compare.",
        trial=options.trial,
    )


# ---- pictures -------------------------------------------------------------------------------------------------------


def pictures(manifest: Path, rounds: int) -> tuple[list[tuple[str, str]], float]:
    """Rows of the table, and webdataset's speed on one core."""
    rows: list[tuple[str, str]] = []
    ways: dict[str, Callable[[Path, int], Pass]] = {"densify": from_handoff, "webdataset": from_webdataset}
    medians = {}
    for count in (1, 2):
        found: dict[str, list[Pass]] = {name: [] for name in ways}
        for number in range(rounds):
            for name in sorted(ways, reverse=bool(number % 2)):
                with cores(count):
                    found[name].append(alone(partial(ways[name], manifest, count))[0])
                print(f"round {number}, {count} cores: {name} {found[name][-1].speed:,.1f} images/s")
        same = {done.pixels for each in found.values() for done in each}
        if len(same) > 1:
            raise RuntimeError("Densify and webdataset made different pixels of the same pictures.")
        where = f"pictures, {count} core{'s' * (count > 1)}"
        each_round = zip(found["densify"], found["webdataset"], strict=True)
        rows.append((f"{where}: densify / webdataset", ", ".join(f"{a.speed / b.speed:.2f}" for a, b in each_round)))
        for name, each in found.items():
            medians[name, count] = statistics.median(done.speed for done in each)
            rows.append((f"{where}: {name}", f"{medians[name, count]:,.1f} images/s"))
    return rows, medians["webdataset", 1]


def from_handoff(manifest: Path, threads: int) -> Pass:
    """What training computes features of, the VAE left out."""
    from training.buckets import Buckets
    from training.features import _by_shape
    from training.source import Source

    shapes = Buckets(RESOLUTION, 16, ratios=1)
    begin = time.perf_counter()
    source = Source(str(manifest), "all")
    cut = (
        image for part in source.parts for _, items in _by_shape(source, part, shapes, threads) for _, image in items
    )
    return summed(map(checksum, cut), begin)


def from_webdataset(manifest: Path, processes: int) -> Pass:
    """webdataset as its documentation has it; the resize is the same."""
    import torch.utils.data  # noqa: F401  what webdataset's loader imports when it is first used
    import webdataset

    from shards.handoff import load

    tars = [str(manifest.parent / shard.path) for shard in load(manifest.read_bytes()).shards]
    begin = time.perf_counter()
    read = webdataset.WebDataset(tars, shardshuffle=False).decode("pilrgb").to_tuple("jpg").map(_square_of)
    if processes == 1:
        return summed(read, begin)
    # As torch does on Linux unless told otherwise: this process was spawned, and would spawn, which takes seconds.
    loader = webdataset.WebLoader(read, num_workers=processes, batch_size=None, multiprocessing_context="fork")
    return summed(loader, begin)


def _square_of(sample: tuple[Image.Image]) -> int:
    return checksum(square(sample[0]))


def square(image: Image.Image) -> Image.Image:
    """Scaled to cover the resolution, the middle of it."""
    scale = RESOLUTION / min(image.size)
    wide, high = (max(RESOLUTION, round(side * scale)) for side in image.size)
    left, top = (wide - RESOLUTION) // 2, (high - RESOLUTION) // 2
    scaled = image.resize((wide, high), Image.Resampling.LANCZOS)
    return scaled.crop((left, top, left + RESOLUTION, top + RESOLUTION))


def checksum(image: Image.Image) -> int:
    return zlib.crc32(image.tobytes())


def summed(sums: Iterable[Any], begin: float) -> Pass:
    """A whole pass; the time runs from `begin`."""
    found = [int(each) for each in sums]
    return Pass(len(found) / (time.perf_counter() - begin), sum(found))


# ---- features -------------------------------------------------------------------------------------------------------


def features(folder: Path, images: int, rounds: int, theirs: float) -> list[tuple[str, str]]:
    """Rows on batches of cached features. `theirs`: webdataset's speed with pictures, on one core."""
    rows = []
    for whose, side, tokens, width in FEATURES:
        place = folder / f"features-{side}"
        alone(partial(write_random, place, images, side, tokens, width))
        with cores(1):
            speeds = [alone(partial(from_features, place, images))[0] for _ in range(rounds)]
        what = f"features of {whose} size, {side} x {side} x 4 and {tokens} x {width}"
        rows.append((f"{what}, one core", f"{statistics.median(speeds):,.0f} images/s"))
        rows.append((f"{what} / webdataset with pictures", ", ".join(f"{speed / theirs:.1f}" for speed in speeds)))
    return rows


def write_random(folder: Path, images: int, side: int, tokens: int, width: int) -> None:
    import torch

    from training.features import write_features

    folder.mkdir()
    for name, shape in (("latents", (4, side, side)), ("captions", (tokens, width))):
        write_features(folder / name, (torch.randn(*shape) for _ in range(images)), {})


def from_features(folder: Path, images: int) -> float:
    """Images per second of one epoch, read in its shuffled order."""
    import torch

    from training.epoch import Epochs
    from training.features import Features
    from training.recipe import Recipe
    from training.text_to_image import Cached, Place, TextToImage

    batch = min(BATCH, images)
    recipe = Recipe.model_validate(
        {"method": "pixart", "data": {"handoff": "none"}, "run": {"steps": 1, "batch": batch}}
    )
    captions = Features(folder / "captions")
    null = torch.zeros(1, captions.shape(0)[1])
    places = [Place(f"{at:08d}", 0, at, False) for at in range(images)]
    task = TextToImage(recipe, None, Cached(places, [Features(folder / "latents")], [captions], [], null))
    epochs = Epochs([0] * images, [0] * images, batch=batch, window=images, seed=0)
    read = 0
    begin = time.perf_counter()
    for _, cursor, chosen in epochs.read(0, epochs.batches):
        read += len(task.read(cursor, chosen, ()).keys)
    return read / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
