"""Previews: the same prompts and seeds at every step, grids that say how they were made, and a model left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from core.errors import BadRecipeError
from tests.analysis.make_handoff import CAPTION
from tests.training import small_handoff
from tests.training.small_handoff import held_out, sections, world
from tests.training.test_prepare import Counted
from training.pipelines import pipeline, save_pipeline
from training.prepare import Prepared, prepare
from training.previews import Previews
from training.recipe import Recipe
from training.sampling import Drawing, draw, load_pipeline, read_png


def ready(small: dict[str, Path], folder: Path, **changes: Any) -> tuple[Prepared, Previews]:
    changes["previews"] = {"every": 2, "count": 3, "steps": 2, "guidance": 2.0} | changes.get("previews", {})
    made = prepare(Recipe.model_validate(sections(small, **changes)), folder, Counted())
    torch.manual_seed(0)
    with torch.no_grad():
        for value in made.task.model.parameters():
            value += 0.1 * torch.randn(value.shape)
    return made, Previews(made, folder)


@pytest.mark.parametrize("method", ["pixart", "dit"])
def test_two_grids_of_the_same_weights_are_the_same_and_other_weights_draw_another(
    small: dict[str, Path], tmp_path: Path, method: str
) -> None:
    made, previews = ready(small, tmp_path, method=method)
    model = made.task.model.eval()
    first = previews.draw(2, model)
    torch.manual_seed(99)
    again = previews.draw(4, model)
    assert first.tobytes() == again.tobytes()
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(1.2)
    assert previews.draw(6, model).tobytes() != first.tobytes()
    files = sorted((tmp_path / "previews").glob("*.png"))
    assert [file.name for file in files] == ["step-00000002.png", "step-00000004.png", "step-00000006.png"]
    with Image.open(files[0]) as image:
        assert image.tobytes() == first.tobytes()


def test_the_model_is_left_as_it_was(small: dict[str, Path], tmp_path: Path) -> None:
    for method in ("pixart", "dit"):
        made, previews = ready(small, tmp_path / method, method=method)
        model = made.task.model.train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        previews.draw(1, model)
        assert model.training
        after = model.state_dict()
        assert all(
            torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items()
        )
        assert all(value.requires_grad and not value.is_inference() for value in model.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")
@pytest.mark.parametrize("method", ["pixart", "dit"])
def test_a_compiled_model_draws_what_the_plain_one_does(small: dict[str, Path], tmp_path: Path, method: str) -> None:
    made, previews = ready(small, tmp_path, method=method)
    model = made.task.model.eval()
    assert previews.draw(1, torch.compile(model)).tobytes() == previews.draw(1, model).tobytes()


def test_prompts_are_the_recipes_or_captions_that_are_held_out(small: dict[str, Path], tmp_path: Path) -> None:
    _, asked = ready(small, tmp_path / "a", previews={"prompts": ["a red dog", "two cats"]})
    assert asked.prompts == ["a red dog", "two cats"]
    _, found = ready(small, tmp_path / "b")
    known = {" ".join(CAPTION.format(key).split()) for key in held_out()}
    assert len(found.prompts) == 3
    assert set(found.prompts) <= known


def test_without_a_validation_split_captions_are_those_that_are_learnt(tmp_path: Path) -> None:
    made, previews = ready(world(tmp_path, validation_share=0.0), tmp_path / "run")
    captions = {" ".join((record.caption or "").split()) for record in made.source.samples}
    assert len(previews.prompts) == 3
    assert set(previews.prompts) <= captions


def test_each_picture_is_what_sampling_draws_and_the_file_says_how(small: dict[str, Path], tmp_path: Path) -> None:
    made, previews = ready(small, tmp_path, previews={"prompts": ["a red dog", "two cats"]})
    model = made.task.model.eval()
    sheet = previews.draw(2, model)
    drawing = Drawing("two cats", 4, steps=2, guidance=2.0, width=32, height=32, tokens=6)
    ((_, alone),) = draw(pipeline(made, model), [drawing])
    cell = sheet.crop((sheet.width - 36, 4, sheet.width - 4, 36))
    # Drawn beside another prompt, sums come in another order.
    assert max(abs(a - b) for a, b in zip(cell.tobytes(), alone.tobytes(), strict=True)) <= 1
    told = read_png(tmp_path / "previews" / "step-00000002.png")
    assert (told["step"], told["prompts"], told["seed"]) == (2, ["a red dog", "two cats"], 3)
    assert (tmp_path / "previews" / "prompts.txt").read_text() == "a red dog\ntwo cats\n"


def test_stage_one_draws_a_row_for_each_class(small: dict[str, Path], tmp_path: Path) -> None:
    made, previews = ready(small, tmp_path, method="dit", previews={"count": 6})
    assert previews.prompts == ["boat", "cat"]
    sheet = previews.draw(2, made.task.model.eval())
    assert sheet.height == 4 + 2 * 36, "two rows"
    assert sheet.width > 3 * 36, "three columns, and the names before them"


def test_a_class_whose_name_holds_a_comma_is_drawn_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_handoff, "LABELS", ("tench, Tinca tinca", "cat"))
    made, previews = ready(world(tmp_path), tmp_path / "run", method="dit", previews={"count": 4})
    assert previews.prompts == ["cat", "tench, Tinca tinca"]
    model = made.task.model.eval()
    previews.draw(2, model)
    save_pipeline(tmp_path / "run", made, model)
    loaded = load_pipeline(str(tmp_path / "run"))
    found = {}
    for name in ("tench, Tinca tinca", "Tinca tinca", "cat"):
        ((_, image),) = draw(loaded, [Drawing(name, 4, steps=2, guidance=2.0, width=32, height=32)])
        found[name] = image.tobytes()
    assert found["tench, Tinca tinca"] == found["Tinca tinca"] != found["cat"]


def test_guidance_that_no_captions_are_drawn_with_is_refused_before_a_step(
    small: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(BadRecipeError, match=r"previews\.guidance is 0\.5"):
        ready(small, tmp_path, previews={"guidance": 0.5})
    ready(small, tmp_path, method="dit", previews={"guidance": 0.5})


def test_of_many_classes_some_are_drawn_four_times(small: dict[str, Path], tmp_path: Path) -> None:
    made, previews = ready(small, tmp_path, method="dit", previews={"count": 3})
    assert previews.prompts == ["boat"]
    assert previews.draw(2, made.task.model.eval()).height == 4 + 36, "one row"
