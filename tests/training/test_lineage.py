"""Lineage: which run a folder is, what it keeps of the first step's versions, and what may change on the way."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import version
from core.errors import ConflictError
from tests.training.small_run import loop, recipe
from training.lineage import FILE, Lineage, claim


def lineage(**changes: Any) -> Lineage:
    """That of a small run."""
    return Lineage(
        recipe=recipe(**changes).model_dump(mode="json"),
        handoff="a" * 64,
        dataset="birds",
        captioning="b" * 64,
        model="demo",
        encoders={"vae": "c"},
        start=None,
        code_version="1",
        packages={"torch": "1"},
        python="3.11",
    )


def noisy(captions: dict[str, Any]) -> Lineage:
    made = lineage(captions=captions)
    made.recipe["objective"]["offset_noise"] = 0.1
    return made


def told(folder: Path) -> dict[str, Any]:
    return json.loads((folder / FILE).read_text())  # type: ignore[no-any-return]


def test_a_folder_without_a_state_is_claimed_by_a_changed_recipe(tmp_path: Path) -> None:
    assert not claim(tmp_path, lineage())
    assert not claim(tmp_path, lineage()), "nothing changed"
    assert claim(tmp_path, lineage(run={"batch": 2}))
    assert told(tmp_path)["recipe"]["run"]["batch"] == 2
    assert told(tmp_path)["resumes"] == []


@pytest.mark.parametrize("held", ["states", "pipeline"])
def test_a_folder_that_holds_something_is_another_runs(tmp_path: Path, held: str) -> None:
    claim(tmp_path, lineage())
    if held == "states":
        loop(tmp_path, recipe()).run(until=3)
    else:
        (tmp_path / "pipeline").mkdir()
    for changed, name in (
        (lineage(run={"batch": 2}), "run.batch"),
        (lineage(optimiser={"rate": 0.5}), "optimiser.rate"),
        (replace(lineage(), start="d"), "start"),
    ):
        with pytest.raises(ConflictError, match=f"another run: {name} differ"):
            claim(tmp_path, changed)


def test_what_the_hint_of_a_full_memory_asks_for_may_change_on_the_way(tmp_path: Path) -> None:
    claim(tmp_path, lineage())
    loop(tmp_path, recipe()).run(until=3)
    assert not claim(tmp_path, lineage(run={"accumulate": 2, "checkpointing": True, "compile": True}))
    assert loop(tmp_path, recipe(run={"accumulate": 2, "checkpointing": True})).run(until=4) == 4


def test_versions_of_the_first_step_are_kept_and_each_resume_is_added(tmp_path: Path) -> None:
    claim(tmp_path, replace(lineage(), commit="old"))
    newer = replace(lineage(), code_version="2", packages={"torch": "2"}, python="3.12", commit="new")
    for until in (3, 6):
        loop(tmp_path, recipe()).run(until=until)
        claim(tmp_path, newer)
    found = told(tmp_path)
    assert [found[name] for name in ("code_version", "packages", "python", "commit")] == [
        "1",
        {"torch": "1"},
        "3.11",
        "old",
    ]
    again = {"code_version": "2", "packages": {"torch": "2"}, "python": "3.12", "commit": "new"}
    assert found["resumes"] == [{"step": 3} | again, {"step": 6} | again]
    loop(tmp_path, recipe()).run()
    claim(tmp_path, newer)
    assert told(tmp_path) == found, "a run that is done does not go on"


def test_a_field_of_a_later_version_is_what_was_done_before(tmp_path: Path) -> None:
    claim(tmp_path, lineage())
    loop(tmp_path, recipe()).run(until=3)
    older = told(tmp_path)
    del older["recipe"]["objective"]["offset_noise"]
    del older["recipe"]["optimiser"]["betas"]
    del older["recipe"]["captions"]
    for name in ("commit", "licences", "resumes"):
        del older[name]
    (tmp_path / FILE).write_text(json.dumps(older))
    default = {"dropout": 0.1, "old_text": 0.0}
    with pytest.raises(ConflictError, match=r"another run: objective\.offset_noise differ"):
        claim(tmp_path, noisy(default))
    claim(tmp_path, lineage(captions=default))


def test_the_commit_is_gits_and_its_absence_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    root = Path(version.__file__).parent.parent
    found = version.commit.__wrapped__()
    if (root / ".git").exists() and found is not None:
        assert found.removesuffix("-dirty").isalnum()
        assert len(found.removesuffix("-dirty")) == 40
    monkeypatch.setattr(subprocess, "run", absent)
    assert version.commit.__wrapped__() is None
    monkeypatch.undo()
    # Installed inside somebody else's repository.
    monkeypatch.setattr(version, "__file__", str(tmp_path / "core" / "version.py"))
    assert version.commit.__wrapped__() is None
