"""Recipes: typed, whole, extended, and every mistake one sentence that names the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadRecipeError, NoSuchPathError
from training.recipe_files import dump, load

PLAIN = "method: pixart\ndata: {handoff: h.json}\nrun: {steps: 10, batch: 8}\n"


def write(folder: Path, text: str, name: str = "a.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_what_is_left_out_has_its_default_and_is_written_out(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, PLAIN))
    assert (recipe.run.steps, recipe.captions.dropout, recipe.objective.kind) == (10, 0.1, "flow")
    again = load(write(tmp_path, dump(recipe), "b.yaml"))
    assert again == recipe
    assert "dropout: 0.1" in dump(recipe)


def test_a_recipe_extends_another_and_the_command_line_changes_both(tmp_path: Path) -> None:
    write(tmp_path, PLAIN + "captions: {dropout: 0.2, tokens: 77}\n", "base.yaml")
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "sub", "extends: ../base.yaml\ncaptions: {dropout: 0}\nrun: {steps: 20}\n")
    recipe = load(path, ["run.batch=16", "objective.kind=v", "previews.prompts=[a dog, a cat]", "optimiser.rate=1e-4"])
    assert (recipe.captions.dropout, recipe.captions.tokens) == (0, 77)
    assert (recipe.run.steps, recipe.run.batch) == (20, 16)
    assert recipe.previews.prompts == ("a dog", "a cat")
    assert recipe.optimiser.rate == 1e-4


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (PLAIN + "captions: {droput: 0.1}\n", "there is no field `captions.droput`", "Did you mean `dropout`?"),
        (PLAIN + "optimizer: {}\n", "there is no field `optimizer`", "Did you mean `optimiser`?"),
        (PLAIN + "model: {zzz: 1}\n", "there is no field `model.zzz`", "Fields there: size, start"),
        ("method: pixart\ndata: {handoff: h}\nrun: {steps: 10}\n", "`run.batch` is missing", "run.batch="),
        (
            PLAIN + "captions: {dropout: 1.5}\n",
            "`captions.dropout`: Input should be less than or equal to 1, not 1.5",
            "",
        ),
        (PLAIN + "objective: {kind: x}\n", "`objective.kind`: Input should be 'flow', 'epsilon' or 'v', not 'x'", ""),
        (PLAIN + "objective: {learn_sigma: true}\n", "learn_sigma is the hybrid loss of epsilon prediction", ""),
        (PLAIN + "objective: {kind: epsilon, zero_terminal_snr: true}\n", "set kind to v", ""),
        (PLAIN + "objective: {min_snr: 5}\n", "leave them out of flow matching", ""),
        (PLAIN + "run: {steps: 1, batch: 1}\n", "`run` stands there twice, line 4", ""),
        (PLAIN + "seed: [1\n", "is no YAML", ""),
        ("- a\n", "holds no fields", ""),
        ("", "holds no fields", ""),
        ("extends: nowhere.yaml\n", "extends nowhere.yaml, and there is no file", ""),
        ("extends: a.yaml\n", "extends itself", ""),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, says: str, hint: str) -> None:
    with pytest.raises(BadRecipeError) as error:
        load(write(tmp_path, text))
    assert says in error.value.sentence
    assert hint in error.value.hint


@pytest.mark.parametrize("change", ["run.steps", "=3", "method.x=3", "run.steps=[1"])
def test_a_change_that_is_none_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(BadRecipeError, match="`"):
        load(write(tmp_path, PLAIN), [change])


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPathError, match="no recipe nothing"):
        load("nothing")
