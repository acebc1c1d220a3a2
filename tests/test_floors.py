"""The house's floors: a room imports rooms to its left only, and three rooms never one another."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ORDER = ("core", "scenes", "shards", "ledger", "captioner", "analysis", "training", "workers", "api", "cli")
#: They meet in the files of `shards` and the rows of `ledger`, never in Python.
STRANGERS = frozenset({"captioner", "analysis", "training"})
ROOMS = tuple(room for room in ORDER if (REPOSITORY / room / "__init__.py").is_file())


def imported_names(source: str, package: str) -> Iterator[tuple[int, str]]:
    """(line, absolute module name) of every import, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - (node.level - 1)] if node.level else []
            module = [node.module] if node.module else []
            yield from ((node.lineno, ".".join([*above, *module, alias.name])) for alias in node.names)


def offence(room: str, other: str) -> str | None:
    """Why `room` may not import `other`; None where it may."""
    if other not in ORDER or other == room:
        return None
    if ORDER.index(other) > ORDER.index(room):
        return f"{other} lies to the right of {room}"
    if {room, other} <= STRANGERS:
        return f"{room} and {other} never import one another"
    return None


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_to_its_left(room: str) -> None:
    wrong = []
    for file in sorted((REPOSITORY / room).rglob("*.py")):
        relative = file.relative_to(REPOSITORY)
        package = ".".join(relative.parts[:-1])
        for line, name in imported_names(file.read_text(), package):
            why = offence(room, name.split(".")[0])
            if why:
                wrong.append(f"{relative}:{line} imports {name}: {why}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("room", "source", "caught"),
    [
        ("shards", "import ledger", True),
        ("shards", "def f():\n    from api.app import create_app", True),
        ("analysis", "from captioner.engine import Engine", True),
        ("workers", "from captioner.engine import Engine", False),
        ("cli", "import json, core.errors", False),
        ("core", "from . import errors", False),
        ("core", "from .. import shards", True),
    ],
)
def test_the_check_sees_imports_of_every_form(room: str, source: str, caught: bool) -> None:
    offences = [offence(room, name.split(".")[0]) for _, name in imported_names(source, room)]
    assert any(offences) is caught


def test_every_folder_with_code_is_a_known_room() -> None:
    folders = {file.parent.name for file in REPOSITORY.glob("*/__init__.py")} - {"tests"}
    assert folders <= set(ORDER)


def test_every_room_is_in_the_distribution() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(listed) == set(ROOMS)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import api.app", ("torch", "transformers", "spacy", "matplotlib")),
        (
            "import cli.main",
            ("torch", "transformers", "spacy", "fastapi", "uvicorn", "celery", "sqlalchemy", "pyarrow", "matplotlib"),
        ),
    ],
)
def test_the_front_end_starts_without_the_heavy_libraries(statement: str, absent: tuple[str, ...]) -> None:
    script = f"{statement}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert answer.stdout.strip() == "[]"
