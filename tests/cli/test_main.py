"""The command itself: help that teaches, errors as one sentence and a hint, exit codes, a quick start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command

import cli.status
from cli.main import app
from core.errors import CheckFailedError, NoSuchDatasetError, UnreachableError
from tests.cli.conftest import Densify

COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]


def test_help_teaches_the_way_from_upload_to_proof(densify: Densify) -> None:
    text = densify("--help").stdout
    steps = ("densify serve --embedded", "densify upload", "densify status", "densify handoff", "densify verify")
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    for name in COMMANDS:
        assert f"│ {name} " in text


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(densify: Densify, name: str) -> None:
    result = densify(name, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


@pytest.mark.parametrize(
    ("error", "code"), [(CheckFailedError("No."), 1), (NoSuchDatasetError("No."), 2), (UnreachableError("No."), 1)]
)
def test_an_error_is_one_sentence_and_a_hint(
    densify: Densify, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli.status, "look", fail)
    result = densify("status")
    assert result.exit_code == code
    lines = result.stderr.splitlines()
    assert lines[0] == "error: No."
    assert all(line.startswith("hint: ") for line in lines[1:])
    assert result.stdout == ""


def test_an_unforeseen_error_is_one_line_without_a_traceback(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(cli.status, "look", fail)
    result = densify("status")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: RuntimeError: first second"
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("DENSIFY_LOG_LEVEL", "DEBUG")
    assert "Traceback" in densify("status").stderr


def test_a_wrong_call_ends_with_2(densify: Densify) -> None:
    assert densify("upload").exit_code == 2
    assert densify("nonsense").exit_code == 2
    assert densify("upload", "shop", "a.tar", "--nonsense").exit_code == 2


def test_a_wrong_setting_names_its_variable(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_LEASE_S", "soon")
    result = densify("status")
    assert result.exit_code == 2
    assert "DENSIFY_LEASE_S" in result.stderr


def test_a_service_that_is_not_there_is_told_with_what_to_do(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_URL", "http://127.0.0.1:9")
    result = densify("status")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "hint: Start it with `densify serve --embedded`" in result.stderr


def test_the_version_is_the_distributions(densify: Densify) -> None:
    assert densify("--version").stdout == "densify 0.1.0\n"


def test_help_starts_quickly() -> None:
    command = [sys.executable, "-m", "cli.main", "--help"]
    times = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.monotonic() - began)
    # Far below what importing torch alone takes; generous, since tests share the machine.
    assert min(times) < 2.0


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    script = f"{sys.executable} -m cli.main --help | true; echo ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert "Traceback" not in answer.stderr
