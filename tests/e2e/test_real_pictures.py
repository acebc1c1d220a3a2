"""The main job on all 1,280 real pictures: the fleet under fire and the quiet embedded service give the same bytes."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import warnings
from pathlib import Path

import pytest
import webdataset

from tests.e2e.fleet import Fleet
from tests.services import PostgresServer, RedisServer
from tests.shards.make_shards import openstax_shards

#: Chunks of 32: forty of them, so that a kill strikes in mid-shard.
CHUNKS = {"DENSIFY_CHUNK_SAMPLES": "32"}


@pytest.fixture(scope="module")
def real_shards(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return openstax_shards(real_data, tmp_path_factory.mktemp("openstax"), shards=4)


def images_of(shards: list[Path]) -> dict[str, str]:
    """SHA-256 of each sample's image, as webdataset reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # webdataset leaves its files to the garbage collector
        dataset = webdataset.WebDataset([str(path) for path in shards], shardshuffle=False)
        found = {sample["__key__"]: hashlib.sha256(sample["jpg"]).hexdigest() for sample in dataset}
        del dataset
        gc.collect()
    return found


def embedded(folder: Path, model: Path, shards: list[Path]) -> dict[str, str]:
    with Fleet(folder, model, **CHUNKS) as fleet:
        fleet.serve("--embedded")
        done = fleet.run("upload", "openstax", *map(str, shards), "--wait")
        assert done.returncode == 0, done.stderr
        return fleet.captioned()


@pytest.mark.slow
def test_1280_pictures_survive_a_killed_worker_and_a_wiped_redis(
    redis_server: RedisServer,
    postgres_server: PostgresServer,
    model: Path,
    real_shards: list[Path],
    tmp_path: Path,
) -> None:
    redis_server.flush()
    with Fleet(tmp_path / "fleet", model, postgres_server.new_database(), redis_server.url, **CHUNKS) as fleet:
        fleet.serve()
        victim = fleet.start("worker")
        fleet.start("worker")
        assert fleet.run("upload", "openstax", *map(str, real_shards)).returncode == 0
        fleet.wait(lambda: fleet.progress("openstax")["captioned"] >= 200)
        os.kill(victim.pid, signal.SIGKILL)
        redis_server.flush()
        fleet.wait_accepted("openstax", 4)

        manifests = sorted((fleet.data / "captioned").rglob("*.json"))
        counts = [json.loads(path.read_bytes()) for path in manifests]
        assert sum(count["samples_in"] for count in counts) == 1280
        assert all(count["samples_in"] == count["captioned"] + count["rejected"] for count in counts)
        verified = fleet.run("verify", str(fleet.data / "captioned"))
        assert verified.returncode == 0, verified.stdout
        tars = [path.with_suffix(".tar") for path in manifests]
        assert images_of(tars) == images_of(real_shards)
        under_fire = fleet.captioned()
    assert under_fire == embedded(tmp_path / "embedded", model, real_shards)
