"""`densify worker`: a thin door to workers/launch.py; its refusals end the command as they should."""

from __future__ import annotations

import pytest

import workers.launch
from core.errors import BadCheckpointError, EngineConfigError
from core.settings import Settings
from tests.cli.conftest import Densify


@pytest.mark.parametrize("code", [0, 2])
def test_the_exit_code_of_the_workers_is_the_commands(
    densify: Densify, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    seen: list[Settings] = []

    def run(settings: Settings) -> int:
        seen.append(settings)
        return code

    monkeypatch.setenv("DENSIFY_WORKER_THREADS", "3")
    monkeypatch.setattr(workers.launch, "run", run)
    assert densify("worker").exit_code == code
    assert seen[0].worker_threads == 3


@pytest.mark.parametrize("error", [EngineConfigError("No such folder."), BadCheckpointError("Weights are missing.")])
def test_an_engine_that_cannot_start_is_told(
    densify: Densify, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(_: Settings) -> int:
        raise error

    monkeypatch.setattr(workers.launch, "run", run)
    result = densify("worker")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {error}")
