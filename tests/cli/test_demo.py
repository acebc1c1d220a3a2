"""The demo: the whole way in one command, with true captions, repeatable, careful with folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from analysis.density import Table
from analysis.nouns import load_pipeline
from cli import demo, pictures
from cli.demo_report import Pair, Told, read_truths, write_report, write_strip, write_summary
from cli.demo_training import Drawn
from core.errors import ConflictError
from scenes.captions import dense
from scenes.scorer import score
from tests.cli.conftest import Densify, read_webdataset


def test_the_demo_goes_the_whole_way_and_its_captions_are_true(densify: Densify, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = densify("demo", "--images", "72", "--per-shard", "36", "--folder", folder)
    assert result.exit_code == 0, result.stdout + result.stderr
    for words in (
        "baseline: old_text.jsonl",
        "2 of 2 shards passed the gates",
        "proven: 72 samples in = 72 captioned + 0 rejected",
        f"Look at {folder}/report.html and {folder}/density.html",
    ):
        assert words in result.stdout
    (manifest,) = (folder / "handoff" / "handoffs").glob("scenes-*.json")
    assert f"densify verify {manifest}" in result.stdout
    assert "Traceback" not in result.stderr
    assert "warning" not in result.stderr
    truths = {key: scene for key, _, scene in read_truths(sorted((folder / "shards").iterdir()))}
    captions = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]
    assert score((truths[line["key"]], line["caption"]) for line in captions).noun.f1.value > 0.94
    assert densify("verify", manifest).exit_code == 0
    drawn = folder / "drawn.png"
    with Image.open(drawn) as sheet:
        assert sheet.width > 4 * 64
    assert (folder / "run" / "pipeline" / "model_index.json").is_file()
    assert json.loads((folder / "run" / "lineage.json").read_text())["handoff"] in manifest.read_text()
    assert "data:image/png;base64," in (folder / "report.html").read_text()
    assert 'href="density.html"' in (folder / "report.html").read_text()
    page = (folder / "density.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == page.count("old text: ") == 12
    assert f"densify density {folder}/handoff/captioned --baseline {folder}/old_text.jsonl" in page


def test_the_report_shows_pictures_old_text_and_captions_and_needs_no_other_file(tmp_path: Path) -> None:
    files = pictures.write_shards(tmp_path, images=30, per_shard=30, seed=3)
    pairs = [
        Pair(key, picture, scene, "IMG_1.jpg <script>alert(1)</script>", dense(scene) if row else "A dog.")
        for row, (key, picture, scene) in enumerate(read_truths(files))
    ]
    scores = score((pair.scene, pair.caption) for pair in pairs)
    table = Table(30, 90, 40, 5, 4, 10, "densify-en-2")
    Image.new("RGB", (8, 8)).save(tmp_path / "drawn.png")
    drawn = Drawn(tmp_path / "drawn.png", ("a <red> boat",), tmp_path / "run", 60, 30, 41.0)
    proof, next_commands = "proven: 30 samples in", ["densify verify x"]
    told = Told(pairs, table, table, scores, scores, proof, next_commands, "densify-demo-1", 3, drawn)
    write_report(tmp_path / "report.html", told, load_pipeline())
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img ") == 25
    assert "<li>a &lt;red&gt; boat</li>" in page
    assert page.count("right word for word") == 23
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert set(re.findall(r'src="([^"]{5})', page)) == {"data:"}
    assert re.findall(r'href="([^"]*)', page) == ["density.html"]
    assert f"<mark>{pairs[1].scene.things[0].noun}" in page
    write_summary(tmp_path / "summary.md", told)
    summary = (tmp_path / "summary.md").read_text()
    assert summary.count("IMG\\_1.jpg \\<script\\>") == 5
    assert f"| {dense(pairs[2].scene)} |" in summary
    assert "| LLaVA captions | 30 | 5 | 40 | 12.5% | 90 | 3.00 |" in summary
    write_strip(tmp_path / "pictures.jpg", pairs)
    with Image.open(tmp_path / "pictures.jpg") as strip:
        assert strip.height == 240
        assert strip.width > 500


def test_only_the_demos_own_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.make_room(folder)
    (folder / "old").touch()
    demo.make_room(folder)
    assert [file.name for file in folder.iterdir()] == [demo.MARK]
    theirs = tmp_path / "holiday"
    theirs.mkdir()
    (theirs / "photo.jpg").touch()
    with pytest.raises(ConflictError):
        demo.make_room(theirs)
    assert (theirs / "photo.jpg").exists()


def test_the_same_seed_draws_the_same_pictures(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pictures.write_shards(tmp_path / name, images=5, per_shard=2, seed=seed)
    files = {name: sorted((tmp_path / name).iterdir()) for name in "abc"}
    assert [file.name for file in files["a"]] == ["scenes-000.tar", "scenes-001.tar", "scenes-002.tar"]
    data = {name: [file.read_bytes() for file in found] for name, found in files.items()}
    assert data["a"] == data["b"]
    assert data["a"] != data["c"]


def test_shards_alone_can_be_asked_for(densify: Densify, tmp_path: Path) -> None:
    result = densify("demo", "--shards", tmp_path / "out", "--images", "7", "--seed", "3", "--per-shard", "4")
    assert result.exit_code == 0, result.stderr
    first, second = (
        read_webdataset([tmp_path / "out" / "scenes-000.tar"]),
        read_webdataset([tmp_path / "out" / "scenes-001.tar"]),
    )
    assert (len(first), len(second)) == (4, 3)
    assert {"scene", "dense", "brief", "old_text_kind", "width", "height"} <= set(json.loads(first[0]["json"]))
