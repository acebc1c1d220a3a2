"""docs/training.md names every field of a recipe as the code has it, and every recipe that ships."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", recipe_files.names())
def test_every_recipe_that_ships_is_valid_and_says_how_it_is_called(name):
    recipe_files.load(name)
    head = (recipe_files.FOLDER / f"{name}.yaml").read_text().split("\n\n")[0]
    assert f" train {name} " in head
    assert "Hardware:" in head
