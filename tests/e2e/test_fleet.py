"""The main job as a user runs it, with things going wrong in the middle: no byte of the result may differ."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from shards.verify import verify_captioned
from tests.e2e.fleet import Fleet
from tests.services import PostgresServer, RedisServer


def manifests(fleet: Fleet) -> list[Path]:
    return sorted((fleet.data / "captioned").rglob("*.json"))


def check_complete(fleet: Fleet, shards: list[Path]) -> None:
    """samples in = captioned + rejected, proven by the service's own command from the files."""
    assert len(manifests(fleet)) == len(shards)
    for manifest in manifests(fleet):
        counts = json.loads(manifest.read_bytes())
        assert (counts["samples_in"], counts["captioned"], counts["rejected"]) == (40, 38, 2)
        assert counts["rejects"] == {"image_truncated": 1, "not_an_image": 1}
        assert verify_captioned(manifest).findings == []
    verified = fleet.run("verify", str(fleet.data / "captioned"))
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.slow
def test_the_embedded_service_does_the_main_job_alone(
    model: Path, shards: list[Path], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    with Fleet(tmp_path, model) as fleet:
        server = fleet.serve("--embedded")
        done = fleet.run("upload", "pictures", *map(str, shards), "--wait")
        assert done.returncode == 0, done.stderr
        check_complete(fleet, shards)
        assert fleet.captioned() == undisturbed
        handed = fleet.run("handoff", "pictures", "--out", str(tmp_path / "handoff"))
        assert handed.returncode == 0, handed.stderr
        (manifest,) = (tmp_path / "handoff" / "handoffs").glob("*.json")
        assert fleet.run("verify", str(manifest)).returncode == 0
        tar = next((tmp_path / "handoff").rglob("*.tar"))
        data = bytearray(tar.read_bytes())
        data[len(data) // 2] ^= 1
        tar.write_bytes(data)
        assert fleet.run("verify", str(manifest)).returncode == 1
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.slow
def test_a_killed_worker_and_a_wiped_redis_change_no_byte(
    redis_server: RedisServer,
    postgres_server: PostgresServer,
    model: Path,
    shards: list[Path],
    undisturbed: dict[str, str],
    tmp_path: Path,
) -> None:
    redis_server.flush()
    with Fleet(tmp_path, model, postgres_server.new_database(), redis_server.url) as fleet:
        fleet.serve()
        victim = fleet.start("worker")
        done = fleet.run("upload", "pictures", *map(str, shards))
        assert done.returncode == 0, done.stderr
        fleet.wait(lambda: fleet.progress("pictures")["captioned"] >= 8)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        redis_server.flush()
        assert fleet.progress("pictures")["pending"] > 0
        fleet.start("worker")
        fleet.start("worker")
        fleet.wait(lambda: fleet.progress("pictures")["captioned"] >= 40)
        redis_server.flush()
        fleet.wait_accepted("pictures", len(shards))
        check_complete(fleet, shards)
        assert fleet.captioned() == undisturbed


@pytest.mark.slow
def test_shards_uploaded_while_redis_is_down_are_captioned_when_it_is_back(
    model: Path, shards: list[Path], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    with RedisServer() as redis_server, Fleet(tmp_path, model, broker=redis_server.url) as fleet:
        fleet.serve()
        fleet.start("worker")
        redis_server.kill()
        done = fleet.run("upload", "pictures", *map(str, shards))
        assert done.returncode == 0, done.stderr
        assert fleet.progress("pictures")["pending"] == 80
        redis_server.start()
        fleet.wait_accepted("pictures", len(shards))
        assert fleet.captioned() == undisturbed


@pytest.mark.slow
def test_a_service_killed_in_the_middle_goes_on_after_a_restart(
    model: Path, shards: list[Path], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    with Fleet(tmp_path, model) as fleet:
        server = fleet.serve("--embedded")
        assert fleet.run("upload", "pictures", *map(str, shards)).returncode == 0
        fleet.wait(lambda: fleet.progress("pictures")["captioned"] >= 8)
        server.kill()
        server.wait()
        fleet.serve("--embedded")
        fleet.wait_accepted("pictures", len(shards))
        assert fleet.captioned() == undisturbed


def test_a_worker_whose_model_folder_does_not_exist_refuses_to_start(redis_server: RedisServer, tmp_path: Path) -> None:
    with Fleet(tmp_path, tmp_path / "no-such-model", broker=redis_server.url) as fleet:
        refused = fleet.run("worker")
        assert refused.returncode == 2, refused.stderr
        assert "no-such-model" in refused.stderr
        assert "Traceback" not in refused.stderr
