"""Recipes as files: what `extends` and `field=value` make of one, and a sentence for every mistake.

Leaves out: which fields there are (recipe.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from core.errors import BadRecipeError, NoSuchPathError
from training.recipe import Recipe
from training.unread import names as names_in
from training.unread import read_fields_only

FOLDER = Path(__file__).parent / "recipes"
SUFFIX = ".yaml"
EXTENDS = "extends"


def load(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, or the one of this name that ships, with `field=value` changes.

    Raises NoSuchPathError, BadRecipeError.
    """
    value, said = _read(_path(name), ())
    changed: dict[str, Any] = {}
    for change in changes:
        _set(value, change)
        _set(changed, change)
    return read_fields_only(_checked(value, name), name, said, set(names_in(changed)))


def names() -> list[str]:
    """The recipes that ship."""
    return sorted(file.stem for file in FOLDER.glob(f"*{SUFFIX}"))


def dump(recipe: Recipe) -> str:
    """The whole recipe as YAML, defaults written out: what `load` reads back as the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _path(name: str) -> Path:
    file, shipped = Path(name), FOLDER / f"{name}{SUFFIX}"
    if file.is_file():
        return file
    if shipped.is_file():
        return shipped
    hint = f"Recipes that ship: {', '.join(names())}." if names() else ""
    raise NoSuchPathError(f"There is no recipe {name}.", hint=_nearest(name, names()) or hint)


def _read(file: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], set[str]]:
    """(the file's fields over those of what it extends, the full names of its own). `above`: the files that extend it,
    to find circles.
    """
    if file.resolve() in above:
        raise BadRecipeError(f"{file} extends itself.")
    try:
        value = yaml.load(file.read_text(), _Loader)
    except _Mistake as error:
        raise BadRecipeError(f"{file}: {error}.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadRecipeError(f"{file} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(value, dict):
        raise BadRecipeError(f"{file} holds no fields.", hint="A recipe is YAML: `method: pixart`, `data:` and so on.")
    base = value.pop(EXTENDS, None)
    said = set(names_in(value))
    if base is None:
        return value, said
    below = file.parent / str(base)
    if not below.is_file():
        raise BadRecipeError(f"{file} extends {base}, and there is no file {below}.")
    return _over(_read(below, (*above, file.resolve()))[0], value), said


class _Mistake(yaml.YAMLError):
    """YAML that no recipe may hold; says what, in words."""


class _Loader(yaml.SafeLoader):
    """Plain values alone, and a field that stands there twice is a mistake."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                raise _Mistake(f"`<<` takes no fields over, line {line}: name another file with `extends`")
            if not isinstance(key, yaml.ScalarNode):
                raise _Mistake(f"the name of a field is a word, line {line}, and no list or section")
            name = self.construct_object(key, deep=deep)
            if name in seen:
                raise _Mistake(f"`{name}` stands there twice, line {line}")
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _over(base: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, new in value.items():
        old = merged.get(name)
        merged[name] = _over(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
    return merged


def _set(value: dict[str, Any], change: str) -> None:
    """`run.steps=100`: the value is read as YAML."""
    name, mark, text = change.partition("=")
    if not mark or not name:
        raise BadRecipeError(f"`{change}` changes nothing.", hint="Write field=value, as in run.steps=100.")
    *above, last = name.strip().split(".")
    place = value
    for part in above:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise BadRecipeError(f"`{change}`: {part} is no section.")
    try:
        place[last] = yaml.load(text, _Loader)
    except _Mistake as error:
        raise BadRecipeError(f"`{change}`: {error}.") from error
    except yaml.YAMLError as error:
        raise BadRecipeError(f"`{change}`: the value is no YAML.") from error


def _checked(value: dict[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        problems = [_problem(found) for found in error.errors()]
        sentence, hint = problems[0]
        more = f" ({len(problems) - 1} more of this kind.)" if len(problems) > 1 else ""
        raise BadRecipeError(f"{name}: {sentence}{more}", hint=hint) from error


def _problem(found: Any) -> tuple[str, str]:
    """A sentence and a hint for one of pydantic's errors."""
    where = ".".join(map(str, found["loc"]))
    if found["type"] == "extra_forbidden":
        *section, field = map(str, found["loc"])
        known = list(_fields(section))
        return f"there is no field `{where}`.", _nearest(field, known) or f"Fields there: {', '.join(known)}."
    if found["type"] == "missing":
        return f"`{where}` is missing.", f"Add it, or give {where}=… on the command line."
    said = found["msg"].removeprefix("Value error, ")
    given = f", not {found['input']!r}" if not isinstance(found["input"], dict) else ""
    return f"`{where}`: {said}{given}." if where else f"{said}.", "docs/training.md lists every field."


def _fields(section: Sequence[str]) -> Iterator[str]:
    kind: Any = Recipe
    for part in section:
        kind = kind.model_fields[part].annotation
    yield from kind.model_fields


def _nearest(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean `{found[0]}`?" if found else ""
