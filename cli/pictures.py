"""Pictures of the demo world as WebDataset shards: rendered scenes, each with old text as bad as the web's.

What a scene holds stands in each sample's `.json` (the scene, its exact captions), for whoever wants to judge captions.
"""

from __future__ import annotations

from pathlib import Path


def write_shards(
    folder: Path,
    images: int,
    per_shard: int,
    seed: int = 0,
    *,
    square: bool = False,
    most_things: int = 0,
    large: bool = False,
) -> list[Path]:
    """Writes `scenes-000.tar`, … into `folder` (made if absent), `per_shard` samples in each but the last.

    `square`: all pictures are; `most_things`: things in a scene at most (0: what the world allows); `large`: all things
    are. The same numbers give the same bytes. Raises StorageFullError or StorageError.
    """
    from scenes.dataset import ASPECTS, samples
    from scenes.graph import MOST_THINGS
    from shards.writer import write_shard

    aspects, things = (1.0, 1.0) if square else ASPECTS, (1, most_things or MOST_THINGS)
    files = []
    for number, first in enumerate(range(0, images, per_shard)):
        path = folder / f"scenes-{number:03d}.tar"
        some = samples(min(per_shard, images - first), seed, start=first, aspects=aspects, things=things, large=large)
        write_shard(path, some)
        files.append(path)
    return files
