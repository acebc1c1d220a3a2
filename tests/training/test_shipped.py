"""What ships of the demo world's kit is small, loads in plain diffusers, draws what is asked for, and has a lineage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from captioner.source import SHIPPED as LLAVAS
from cli.evaluate import Captioner
from scenes.captions import dense
from training.alignment import alignment, unseen_scenes
from training.demo.ship import ship
from training.drawable import side_of
from training.encoders import SHIPPED
from training.lineage import FILE as LINEAGE
from training.sampling import Drawing, draw, load_pipeline

FOLDER = SHIPPED["demo"]
MOST_BYTES = 40_000_000


def test_llava_and_pixart_together_stay_small() -> None:
    files = [file for folder in (FOLDER, *LLAVAS.values()) for file in folder.rglob("*") if file.is_file()]
    assert 1_000_000 < sum(file.stat().st_size for file in files) < MOST_BYTES


def test_plain_diffusers_draws_the_same_picture_from_the_same_seed() -> None:
    from diffusers import PixArtAlphaPipeline

    prompt = dense(unseen_scenes(1, "one or two large objects")[0])
    ours: Any = load_pipeline("demo")
    side = side_of(ours)
    ((_, image),) = draw(ours, [Drawing(prompt, 5, steps=4, guidance=3.0, width=side, height=side)])
    plain = PixArtAlphaPipeline.from_pretrained(FOLDER)
    plain.set_progress_bar_config(disable=True)
    expected = plain(
        prompt,
        num_inference_steps=4,
        guidance_scale=3.0,
        width=side,
        height=side,
        generator=torch.Generator().manual_seed(5),
        clean_caption=False,
        use_resolution_binning=False,
    ).images[0]
    assert image.tobytes() == expected.tobytes()


def test_it_draws_what_it_is_asked_for() -> None:
    scenes = unseen_scenes(24, "one or two large objects", seed=77)
    scores = alignment(load_pipeline("demo"), scenes, Captioner(), guidance=3.0, steps=12, seed=7)
    assert scores.background.value > 0.8
    assert scores.noun.f1.value > 0.5


def test_it_says_where_it_is_from() -> None:
    lineage = json.loads((FOLDER / LINEAGE).read_text())
    assert lineage["recipe"]["method"] == "pixart"
    assert len(lineage["handoff"]) == 64
    assert set(lineage["encoders"]) == {"vae", "text_encoder"}
    assert (FOLDER / "README.md").read_text().startswith("---\nlicense: apache-2.0")


def test_shipping_halves_a_runs_precision_and_keeps_the_card(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "model"
    load_pipeline("demo").save_pretrained(run / "pipeline")
    (run / LINEAGE).write_text("{}")
    out.mkdir()
    (out / "README.md").write_text("card")
    (out / "old.bin").touch()
    ship(run, out)
    assert sorted(each.name for each in out.iterdir()) == sorted(
        {each.name for each in (run / "pipeline").iterdir()} | {"README.md", LINEAGE}
    )
    assert (out / "README.md").read_text() == "card"
    configs = [file.read_text() for folder in (out, FOLDER) for file in folder.rglob("*.json")]
    assert not any("_name_or_path" in config for config in configs), "nobody else has this machine's folders"
    weights, was = (
        (folder / "transformer" / "diffusion_pytorch_model.safetensors").stat().st_size
        for folder in (out, run / "pipeline")
    )
    assert weights == pytest.approx(was / 2, rel=0.02)
