"""The papers say what the program does: settings, commands and options are compared, and every page is in the index."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.main import app
from core.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
ROOT: Any = get_command(app)


def table_rows(text: str, columns: int) -> Iterator[list[str]]:
    """The cells of every table row with that many columns, headings and rules left out."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == columns and cells[0].startswith("`"):
            yield cells


def commands() -> dict[str, Any]:
    """Every command by its full name, groups resolved."""
    found = {}
    for name, command in ROOT.commands.items():
        if hasattr(command, "commands"):
            found.update({f"{name} {inner}": each for inner, each in command.commands.items()})
        else:
            found[name] = command
    return found


def parameters(command: Any) -> dict[str, Any]:
    """A command's arguments and options under the names that docs/cli.md uses."""
    return {
        (each.metavar or each.name.upper()) if each.param_type_name == "argument" else ", ".join(each.opts): each
        for each in command.params
        if each.name != "help"
    }


# ---- settings -------------------------------------------------------------------------------------------------------


def test_every_setting_is_documented_with_unit_default_and_meaning() -> None:
    rows = {cells[0].strip("`"): cells[1:] for cells in table_rows((DOCS / "settings.md").read_text(), 4)}
    assert set(rows) == {f"DENSIFY_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        unit, default, what = rows[f"DENSIFY_{name.upper()}"]
        assert unit, f"{name} has no unit"
        assert default == shown_default(field.get_default(call_default_factory=True, validated_data={})), name
        assert what == field.description, name


def shown_default(value: object) -> str:
    if value in ("", []):
        return "empty"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_settings_that_are_named_anywhere_exist() -> None:
    known = {f"DENSIFY_{name.upper()}" for name in Settings.model_fields} | {"DENSIFY_REAL_DATA", "DENSIFY_PORT"}
    papers = [
        *PAGES,
        *(REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "docker-compose.yml", "Dockerfile")),
    ]
    for page in papers:
        named = set(re.findall(r"\bDENSIFY_[A-Z_]+[A-Z]\b", page.read_text()))
        assert named <= known, f"{page.name}: {named - known}"


# ---- commands -------------------------------------------------------------------------------------------------------


def sections(text: str) -> dict[str, str]:
    """docs/cli.md by command."""
    parts = re.split(r"^## densify (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_is_documented_and_nothing_else() -> None:
    assert set(sections((DOCS / "cli.md").read_text())) == set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_option_of_a_command_is_documented(name: str) -> None:
    rows = {cells[0].strip("`"): cells[2] for cells in table_rows(sections((DOCS / "cli.md").read_text())[name], 3)}
    assert rows == {shown: each.help for shown, each in parameters(commands()[name]).items()}


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_option_says_what_it_does(name: str) -> None:
    for shown, each in parameters(commands()[name]).items():
        assert each.help, shown
        assert each.help.endswith("."), shown


def calls(text: str) -> Iterator[str]:
    """Every `densify …` in code: blocks line by line, and inline code."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`(densify [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in [*(line for block in blocks for line in block.splitlines()), *inline]:
        for part in re.split(r"&&|\||;|\bdo\b", line):
            words = part.strip().removeprefix("until ")
            if words.startswith("densify "):
                yield words


def test_every_command_that_a_page_names_exists_with_its_options() -> None:
    checked = 0
    for page in [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "SECURITY.md"]:
        for call in calls(page.read_text()):
            words = shlex.split(call.replace("…", ""), comments=True)[1:]
            words = [word for word in words if not re.fullmatch(r"\d?>.*|&|\d?>&\d|/dev/null", word)]
            check_call(words, f"{page.name}: {call}")
            checked += 1
    assert checked > 40


def check_call(words: list[str], where: str) -> None:
    if not words or words[0] == "COMMAND" or words[0].startswith("-"):
        return
    command = ROOT.commands.get(words[0])
    assert command is not None, where
    words = words[1:]
    if hasattr(command, "commands"):
        if not words:
            return
        assert words[0] in command.commands, where
        command, words = command.commands[words[0]], words[1:]
    known = {option for each in command.params for option in each.opts} | {"--help", "-h"}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known, where


# ---- pages ----------------------------------------------------------------------------------------------------------


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", (DOCS / "README.md").read_text()))
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= linked


@pytest.mark.parametrize("page", [*PAGES, *sorted(REPOSITORY.glob("*.md"))], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_the_tree_in_the_readme_is_the_tree() -> None:
    block = re.search(r"^```\ncore/.*?^```", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block is not None
    named = {line.split("/")[0] for line in block.group().splitlines() if "/" in line.split(" ")[0]}
    rooms = {file.parent.name for file in REPOSITORY.glob("*/__init__.py")}
    assert rooms | {"docs", "tests"} <= named
    assert all((REPOSITORY / name).is_dir() for name in named - {"benchmarks"})
