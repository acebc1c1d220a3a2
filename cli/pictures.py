"""Pictures of the demo world as WebDataset shards: rendered scenes, each with old text as bad as the web's.

What a scene holds stands in each sample's `.json` (the scene, its exact captions), for whoever wants to judge captions.
"""

from __future__ import annotations

from pathlib import Path


def write_shards(folder: Path, images: int, per_shard: int, seed: int = 0) -> list[Path]:
    """Writes `scenes-000.tar`, … into `folder` (made if absent), `per_shard` samples in each but the last.

    The same numbers give the same bytes. Raises StorageFullError or StorageError.
    """
    from scenes.dataset import samples
    from shards.writer import write_shard

    files = []
    for number, first in enumerate(range(0, images, per_shard)):
        path = folder / f"scenes-{number:03d}.tar"
        write_shard(path, samples(min(per_shard, images - first), seed, start=first))
        files.append(path)
    return files
