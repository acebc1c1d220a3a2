"""The distribution: a wheel holds every room and every file that the code reads at run time; the papers ship."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names inside the wheel that hatchling builds from this tree, without network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked_files(room: str) -> set[str]:
    """The room's files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", room]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {line for line in answer.stdout.splitlines() if (REPOSITORY / line).is_file()}


def rooms() -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return packages


@pytest.mark.parametrize("room", rooms())
def test_the_wheel_holds_every_file_of_a_room(room: str, wheel_names: set[str]) -> None:
    missing = tracked_files(room) - wheel_names
    assert not missing


def test_the_wheel_holds_migrations_and_the_noun_model(wheel_names: set[str]) -> None:
    assert any(name.startswith("ledger/migrations/versions/") for name in wheel_names)
    assert any(name.startswith("analysis/models/en/") for name in wheel_names)


def test_the_wheel_holds_neither_tests_nor_data(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert tops == {*rooms(), next(top for top in tops if top.endswith(".dist-info"))}


def test_the_lock_pins_every_dependency() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {_plain(requirement) for requirement in wanted} - {"densify"}
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {_plain(line) for line in lines if "==" in line and not line.startswith("#")}
    assert names <= pinned, names - pinned


def _plain(requirement: str) -> str:
    name = requirement
    for sign in " [=<>!;":
        name = name.split(sign)[0]
    return name.lower().replace("_", "-")


# ---- containers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return loaded


def test_redis_keeps_hints_and_evicts_none(compose: dict[str, Any]) -> None:
    command = compose["services"]["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


@pytest.mark.parametrize("service", ["redis", "postgres", "api"])
def test_what_others_wait_for_has_a_health_check(compose: dict[str, Any], service: str) -> None:
    assert compose["services"][service]["healthcheck"]["test"][0] == "CMD"


def test_the_worker_reserves_gpus_and_the_cpu_worker_is_a_profile(compose: dict[str, Any]) -> None:
    services = compose["services"]
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert services["worker-cpu"]["profiles"] == ["cpu"]
    assert services["worker-cpu"]["environment"]["DENSIFY_DEVICE"] == "cpu"
    assert "deploy" not in services["worker-cpu"]


def test_service_and_workers_share_data_ledger_and_broker(compose: dict[str, Any]) -> None:
    for name in ("api", "worker", "worker-cpu"):
        service = compose["services"][name]
        assert "data:/data" in service["volumes"]
        assert service["environment"]["DENSIFY_DATA"] == "/data"
        assert service["environment"]["DENSIFY_LEDGER"].startswith("postgresql+psycopg://")
        assert service["environment"]["DENSIFY_BROKER"].startswith("redis://")
        assert {"redis", "postgres"} <= set(service["depends_on"])
    assert {"data", "models", "redis", "postgres"} == set(compose["volumes"])


def test_what_compose_runs_are_commands_that_exist(compose: dict[str, Any]) -> None:
    from typer.main import get_command

    from cli.main import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in ("api", "worker", "worker-cpu"):
        assert compose["services"][name]["command"][0] in commands


def test_the_image_runs_without_rights_on_locked_versions() -> None:
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    assert "USER densify" in lines
    assert all(line.startswith("FROM python:3.11-slim") for line in lines if line.startswith("FROM"))
    assert any("-c constraints.txt" in line for line in lines)
    assert lines.index("USER densify") < lines.index('ENTRYPOINT ["densify"]')


def test_the_image_is_built_from_every_room() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert {f"!{room}" for room in rooms()} <= set(ignored)
