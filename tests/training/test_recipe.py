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
        ("? [method]\n: pixart\n", "the name of a field is a word, line 1, and no list or section", ""),
        ("? {method: x}\n: pixart\n", "the name of a field is a word, line 1, and no list or section", ""),
        (PLAIN + "model: &a {size: B/2}\nx: {<<: *a}\n", "`<<` takes no fields over, line 5: name another file", ""),
        (PLAIN + "optimiser: {betas: [2, 3]}\n", "`optimiser.betas.0`: Input should be less than 1, not 2", ""),
        (PLAIN + "optimiser: {betas: [0.9, -1]}\n", "`optimiser.betas.1`: Input should be greater than or equal", ""),
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


def test_null_without_quotes_is_the_class_for_no_class(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN + "model: {start: stage-1, without_class: null}\n")
    assert load(path).model.without_class == "null"
    assert load(path, ["model.without_class=null"]).model.without_class == "null"
    assert load(path, ["model.without_class=zero"]).model.without_class == "zero"


DIT = PLAIN.replace("pixart", "dit")
CLASSIFIER = PLAIN.replace("pixart", "classifier")


@pytest.mark.parametrize(
    ("text", "field", "why"),
    [
        (DIT + "captions: {old_text: 0.5}\n", "captions.old_text", "only method pixart reads captions"),
        (DIT + "captions: {tokens: 77}\n", "captions.tokens", "only method pixart reads captions"),
        (DIT + "model: {text_encoder: t5}\n", "model.text_encoder", "only method pixart reads captions"),
        (DIT + "model: {start: a, reparameterise_at: 3}\n", "model.reparameterise_at", "only a PixArt that starts"),
        (PLAIN + "model: {size: B/2, without_class: zero}\n", "model.without_class", "only a PixArt that starts"),
        (PLAIN.replace("h.json", "h.json, label: kind"), "data.label", "reads captions, not classes"),
        (CLASSIFIER + "captions: {dropout: 0.3}\n", "captions.dropout", "drops no class"),
        (CLASSIFIER + "captions: {tokens: 77}\n", "captions.tokens", "only method pixart reads captions"),
        (
            CLASSIFIER + "objective: {kind: epsilon, learn_sigma: true}\n",
            "objective.learn_sigma",
            "a classifier drops no class and learns no noise",
        ),
        (PLAIN + "objective: {steps: 500}\n", "objective.steps", "flow matching has no noise schedule"),
        (PLAIN + "optimiser: {matrix_rate: 0.1}\n", "optimiser.matrix_rate", "rate of optimiser.name: muon"),
        (PLAIN + "optimiser: {decay_share: 0.5}\n", "optimiser.decay_share", "belongs to optimiser.schedule: decay"),
    ],
)
def test_what_is_said_and_read_by_nothing_is_refused(tmp_path: Path, text: str, field: str, why: str) -> None:
    with pytest.raises(BadRecipeError, match=f"`{field}` is read by nothing: .*{why}"):
        load(write(tmp_path, text))
    # What extends it with another of these fields is refused for its own alone.
    child = write(tmp_path, "extends: a.yaml\nrun: {steps: 20}\n", "child.yaml")
    section, name = field.split(".")
    recipe = load(child)
    inherited = getattr(getattr(recipe, section), name)
    assert inherited == type(getattr(recipe, section)).model_fields[name].default, "what nothing reads has its default"
    assert load(write(tmp_path, dump(recipe), "whole.yaml")) == recipe, "a whole recipe says every default"


@pytest.mark.parametrize("change", ["captions.tokens=120", "optimiser.matrix_rate=0.003", "data={label: label}"])
def test_what_the_command_line_says_must_be_read_even_where_it_is_the_default(tmp_path: Path, change: str) -> None:
    method = "pixart" if change.startswith("data") else "dit"
    with pytest.raises(BadRecipeError, match="is read by nothing"):
        load(write(tmp_path, PLAIN.replace("pixart", method)), [change, "data.handoff=h"])


def test_a_changed_method_takes_along_what_it_cannot_read(tmp_path: Path) -> None:
    stage1 = DIT + "captions: {dropout: 0.3}\nobjective: {kind: epsilon, learn_sigma: true, steps: 500}\n"
    judge = load(write(tmp_path, stage1), ["method=classifier"])
    assert (judge.captions.dropout, judge.objective.learn_sigma, judge.objective.steps) == (0.1, False, 500)
    muon = write(tmp_path, PLAIN + "optimiser: {name: muon, matrix_rate: 0.1}\n")
    assert load(muon).optimiser.matrix_rate == 0.1
    assert load(muon, ["optimiser.name=adamw"]).optimiser.matrix_rate == 3e-3
