"""Stage 1 from the command line: a DiT and a classifier are trained, and classes are drawn, guided by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from core.files import write_atomic
from tests.analysis.make_handoff import handed_off
from tests.cli.conftest import Densify
from tests.training.small_encoders import small_vae
from tests.training.small_handoff import small_size
from training.sampling import read_png

#: A field of every captioned sample: the shard of the test has captions of both kinds.
LABEL = "densify.caption.finish_reason"
CLASSES = ("length", "stop")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A DiT's run and two classifiers', one of another noise: {name: its recipe's file, beside its folder}."""
    folder = tmp_path_factory.mktemp("runs")
    _, _, manifest = handed_off(folder / "store")
    base: dict[str, Any] = {
        "data": {"handoff": str(manifest), "split": "all", "resolution": 32, "label": LABEL},
        "model": {"size": "small", "vae": str(small_vae(folder / "vae"))},
        "run": {"steps": 3, "batch": 4, "ema": 0},
    }
    made = {}
    for name, changes in (
        ("dit", {"method": "dit", "captions": {"dropout": 0.2}}),
        ("classifier", {"method": "classifier"}),
        ("other", {"method": "classifier", "objective": {"kind": "epsilon"}}),
    ):
        made[name] = folder / name
        write_atomic(folder / f"{name}.yaml", yaml.safe_dump({**base, **changes}).encode())
    with small_size():
        from typer.testing import CliRunner

        from cli.main import app

        for name, run in made.items():
            done = CliRunner().invoke(app, ["train", f"{run}.yaml", "--out", str(run)])
            assert done.exit_code == 0, (name, done.stderr, done.exception)
            made[name] = Path(done.stdout.strip()).parent
            asked = "--class" if name == "dit" else "--classifier"
            assert asked in done.stderr, "what to do next"
    return made


def test_a_dit_draws_its_classes_by_name(runs: dict[str, Path], densify: Densify, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    asked = ("--class", "stop", "--prompt", "length", "--steps", "3", "--out", file)
    done = densify("sample", runs["dit"], *asked)
    assert done.exit_code == 0, (done.stderr, done.exception)
    with Image.open(tmp_path / "a-0000.png") as image:
        assert image.size == (32, 32)
    told = [read_png(tmp_path / f"a-000{number}.png") for number in range(2)]
    assert [each["prompt"] for each in told] == ["stop", "length"]
    assert told[0]["classifier"] == ""


def test_a_classifier_guides_and_the_picture_says_so(runs: dict[str, Path], densify: Densify, tmp_path: Path) -> None:
    found = {}
    for scale in ("0", "2", "50"):
        file = tmp_path / f"{scale}.png"
        guide = ("--classifier", runs["classifier"], "--classifier-scale", scale)
        done = densify("sample", runs["dit"], "--class", "length", "--guidance", "0", *guide, "--out", file)
        assert done.exit_code == 0, (done.stderr, done.exception)
        told = read_png(file)
        assert (told["classifier"], told["classifier_scale"]) == (str(runs["classifier"]), float(scale))
        with Image.open(file) as image:
            found[scale] = image.tobytes()
    plain = tmp_path / "plain.png"
    assert densify("sample", runs["dit"], "--class", "length", "--guidance", "0", "--out", plain).exit_code == 0
    with Image.open(plain) as image:
        assert image.tobytes() == found["0"]
    assert found["50"] != found["0"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--class", "dog"), "knows no class dog"),
        (("--class", "stop", "--width", "64"), "draws 32 x 32 pixels"),
        (("--class", "stop", "--classifier", "{dit}"), "holds no classifier"),
        (("--class", "stop", "--classifier", "{other}"), "noises images another way"),
        (("--class", "stop", "--classifier", "./nowhere"), "no run or model"),
    ],
)
def test_what_cannot_be_guided_is_one_sentence(
    runs: dict[str, Path], densify: Densify, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    asked = [option.format(**runs) for option in options]
    done = densify("sample", runs["dit"], *asked, "--out", tmp_path / "a.png")
    assert done.exit_code == 2
    assert says in done.stderr.replace("\n", " ")
    assert not (tmp_path / "a.png").exists()


def test_a_classifier_is_no_model_to_draw_with_or_to_begin_with(
    runs: dict[str, Path], densify: Densify, tmp_path: Path
) -> None:
    done = densify("sample", runs["classifier"], "--class", "stop", "--out", tmp_path / "a.png")
    assert done.exit_code == 2
    assert "is no pipeline" in done.stderr
    done = densify("train", f"{runs['dit']}.yaml", f"model.start={runs['classifier']}", "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert "holds a ViTForImageClassification" in done.stderr


def test_a_classifier_of_another_vae_is_refused(runs: dict[str, Path], densify: Densify, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs["classifier"], tmp_path / "moved")
    file = tmp_path / "moved" / "lineage.json"
    file.write_text(file.read_text().replace('"vae": "', '"vae": "0'))
    done = densify(
        "sample", runs["dit"], "--class", "stop", "--classifier", tmp_path / "moved", "--out", tmp_path / "a"
    )
    assert done.exit_code == 2
    assert "latents of another VAE" in done.stderr.replace("\n", " ")
