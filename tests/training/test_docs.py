"""docs/training.md names every field of a recipe as the code has it, and every recipe that ships."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest
from pydantic import BaseModel

from training import recipe_files
from training.models import SIZES
from training.recipe import Recipe

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


def rows(kind: type[BaseModel], section: str = "") -> list[str]:
    """A line of the table for each field."""
    found = []
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += rows(field.annotation, f"{name}.")
            continue
        default = "required" if field.is_required() else f"`{field.default}`"
        found.append(f"| `{section}{name}` | {default} | {field.description} |".replace("…", "…"))
    return found


@pytest.mark.parametrize("row", rows(Recipe))
def test_every_field_stands_in_the_docs_with_its_default_and_meaning(row):
    assert row in PAGE


@pytest.mark.parametrize("name", [*recipe_files.names(), *SIZES])
def test_every_recipe_and_size_stands_in_the_docs(name):
    assert f"`{name}`" in PAGE


#: Words that say how long something takes.
TIME = re.compile(r"\b(\d+(\.\d+)?|a|one) (second|minute|hour|day)s?\b")


def head(name: str) -> str:
    """The comment that a recipe begins with, as one line."""
    lines = (recipe_files.FOLDER / f"{name}.yaml").read_text().splitlines()
    return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))


@pytest.mark.parametrize("name", recipe_files.names())
def test_every_recipe_that_ships_is_valid_and_says_how_it_is_called_on_what_how_long_and_to_what_end(name):
    recipe_files.load(name)
    said = head(name)
    assert f" train {name} " in said
    assert "--out " in said
    hardware = said.partition("Hardware: ")[2]
    assert hardware
    assert TIME.search(hardware)
    # What came out of it has a figure, or it is said that nobody has seen it.
    result = hardware.partition("Result: ")[2] or hardware.partition("Objects drawn right: ")[2]
    assert re.search(r"\d\.\d\d|was not run", result)
