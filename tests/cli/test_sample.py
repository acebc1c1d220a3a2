"""`densify sample`: pictures that say how they were made, grids of sweeps, one sentence for what cannot be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.cli.conftest import Densify
from tests.training.small_handoff import sections, small_size, world
from training.sampling import read_png


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps."""
    from cli.main import app

    folder = tmp_path_factory.mktemp("trained")
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(sections(world(folder / "world"), run={"steps": 2}, optimiser={"rate": 0.1})))
    with small_size(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENSIFY_DATA", str(folder / "data"))
        result = CliRunner().invoke(app, ["train", str(recipe), "--out", str(folder / "run")])
    assert result.exit_code == 0, result.stderr
    return folder / "run"


def test_one_picture_is_what_plain_diffusers_draws(densify: Densify, run: Path, tmp_path: Path) -> None:
    from diffusers import PixArtAlphaPipeline

    out = tmp_path / "new" / "dog.png"
    prompt = "A red dog and the small red cat of all"
    call = ("--prompt", prompt, "--seed", 7, "--steps", 3, "--guidance", 2, "--negative", "cats", "--out", out)
    result = densify("sample", run, *call)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(out)
    told = read_png(out)
    assert (told["prompt"], told["seed"], told["steps"], told["guidance"]) == (prompt, 7, 3, 2.0)
    assert told["tokens"] == 6, "as the recipe says"
    assert (told["scheduler"], told["negative"], told["width"], told["model"]) == ("dpm++", "cats", 32, str(run))
    plain = PixArtAlphaPipeline.from_pretrained(run / "pipeline")
    plain.set_progress_bar_config(disable=True)
    expected, other = (
        plain(
            prompt,
            negative_prompt="cats",
            num_inference_steps=3,
            guidance_scale=2.0,
            width=32,
            height=32,
            generator=torch.Generator().manual_seed(7),
            clean_caption=False,
            use_resolution_binning=False,
            max_sequence_length=tokens,
        ).images[0]
        for tokens in (6, 120)
    )
    with Image.open(out) as image:
        assert image.tobytes() == expected.tobytes() != other.tobytes()
    assert list(out.parent.iterdir()) == [out]


def test_a_sweep_is_a_grid_and_a_picture_for_each_scale(densify: Densify, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep.png"
    result = densify("sample", run, "--prompt", "a dog", "--guidance", "1:3", "--steps", 2, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "3 pictures" in result.stderr
    files = sorted(tmp_path.glob("sweep-*.png"))
    assert [file.name for file in files] == ["sweep-0000.png", "sweep-0001.png", "sweep-0002.png"]
    assert [read_png(file)["guidance"] for file in files] == [1.0, 2.0, 3.0]
    assert {read_png(file)["seed"] for file in files} == {0}
    with Image.open(out) as sheet:
        assert sheet.size == (4 + 3 * 36, 22 + 36)
        for place, file in enumerate(files):
            with Image.open(file) as image:
                cell = sheet.crop((4 + 36 * place, 22, 36 + 36 * place, 54))
                assert cell.tobytes() == image.tobytes()


def test_a_sweep_draws_the_pictures_of_a_scale_together_and_its_grid_says_how(
    densify: Densify, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import sampling

    batches: list[int] = []
    batch = sampling._batch

    def counted(pipeline: Any, drawings: Sequence[sampling.Drawing]) -> list[Image.Image]:
        batches.append(len(drawings))
        return batch(pipeline, drawings)

    monkeypatch.setattr(sampling, "_batch", counted)
    out = tmp_path / "new" / "sweep.png"
    call = ("--prompt", "a dog", "--prompt", "cats", "--count", 2, "--guidance", "1,3", "--negative", "red")
    result = densify("sample", run, *call, "--steps", 2, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert batches == [4, 4]
    told = [read_png(file) for file in sorted(out.parent.glob("sweep-*.png"))]
    asked = [(text, seed, scale) for text in ("a dog", "cats") for seed in (0, 1) for scale in (1.0, 3.0)]
    assert [(each["prompt"], each["seed"], each["guidance"]) for each in told] == asked
    assert [each["negative"] for each in told] == ["", "red"] * 4, "without guidance nothing is guided away from"
    grid = read_png(out)
    assert (grid["model"], "version" in grid) == (str(run), True)
    assert [(each["prompt"], each["seed"], each["guidance"]) for each in grid["drawings"]] == asked
    alone = tmp_path / "alone.png"
    call = ("--prompt", "cats", "--seed", 1, "--guidance", "3", "--negative", "red", "--steps", 2)
    assert densify("sample", run, *call, "--out", alone).exit_code == 0
    with Image.open(alone) as one, Image.open(out.parent / "sweep-0007.png") as other:
        # Drawn beside others, sums come in another order.
        assert max(abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)) <= 1


def test_several_prompts_and_seeds_are_drawn_one_after_another(densify: Densify, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.png"
    call = ("--prompt", "a dog", "--prompt", "cats", "--count", 2, "--steps", 2, "--seed", 5, "--width", 40)
    assert densify("sample", run, *call, "--out", out).exit_code == 0
    told = [read_png(file) for file in sorted(tmp_path.glob("all-*.png"))]
    assert [(each["prompt"], each["seed"], each["width"], each["height"]) for each in told] == [
        ("a dog", 5, 40, 32),
        ("a dog", 6, 40, 32),
        ("cats", 5, 40, 32),
        ("cats", 6, 40, 32),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--scheduler", "best"), "There is no scheduler best."),
        (("--scheduler", "ddim"), "This model learnt flow matching"),
        (("--guidance", "much"), "--guidance much names no guidance scale."),
        (("--guidance", "1:400"), "names no guidance scale."),
        (("--guidance", "3:1"), "names no guidance scale."),
        (("--guidance", "nan"), "names no guidance scale."),
        (("--guidance", "1,inf"), "names no guidance scale."),
        (("--guidance", "0.5"), "has no guidance of 0.5"),
        (("--guidance", "0,2"), "has no guidance of 0"),
        (("--guidance", "1", "--negative", "cats"), "--negative says nothing with --guidance 1."),
        (("--classifier-scale", "2"), "--classifier-scale scales nothing."),
        (("--width", "44"), "cannot draw a width of 44 pixels: 8 does not divide it."),
        (("--height", "44"), "Nearest: 40 or 48."),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    densify: Densify, run: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = densify("sample", run, "--prompt", "a dog", *arguments, "--out", tmp_path / "a.png")
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr
    assert not list(tmp_path.glob("*.png"))


def test_a_hub_id_out_of_reach_is_one_sentence(densify: Densify, tmp_path: Path) -> None:
    result = densify("sample", "nobody/nothing-at-all", "--prompt", "a dog", "--out", tmp_path / "a.png")
    assert result.exit_code == 2, result.stderr
    (error,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert "nobody/nothing-at-all" in error


def test_a_run_that_is_not_done_is_one_sentence(densify: Densify, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = densify("sample", tmp_path / "run", "--prompt", "a dog")
    assert result.exit_code == 2
    assert "holds no model" in result.stderr
