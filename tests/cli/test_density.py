"""`densify density`: the table over captions from anywhere, beside a baseline, for people and machines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import analysis
from analysis.counts import NounCounts
from tests.analysis.make_tokenizer import word_tokenizer
from tests.cli.conftest import Densify

KEYS = (
    "images",
    "total_nouns",
    "distinct_nouns",
    "valid_nouns",
    "valid_share",
    "nouns_per_image",
    "min_count",
    "noun_pipeline",
)


def jsonl(file: Path, captions: list[str]) -> Path:
    file.write_text("".join(json.dumps({"caption": caption}) + "\n" for caption in captions))
    return file


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "dense.jsonl", ["The dog and the cat and the horse."] * 12)


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "poor.jsonl", ["image", ""] * 6)


def test_both_rows_of_the_table_are_printed(densify: Densify, dense: Path, poor: Path) -> None:
    result = densify("density", dense, "--baseline", poor)
    assert result.exit_code == 0, result.stderr
    assert "dense.jsonl" in result.stdout
    assert "baseline: poor.jsonl" in result.stdout


def test_json_has_the_same_figures(densify: Densify, dense: Path, poor: Path) -> None:
    report = json.loads(densify("density", dense, "--baseline", poor, "--json").stdout)
    assert {key: report[key] for key in KEYS} == {
        "images": 12,
        "total_nouns": 36,
        "distinct_nouns": 3,
        "valid_nouns": 3,
        "valid_share": 1.0,
        "nouns_per_image": 3.0,
        "min_count": 10,
        "noun_pipeline": report["noun_pipeline"],
    }
    assert set(KEYS) <= set(report["baseline"])


def test_a_baseline_takes_every_path_up_to_the_next_option(
    densify: Densify, dense: Path, poor: Path, tmp_path: Path
) -> None:
    third = jsonl(tmp_path / "third.jsonl", ["a cat"])
    report = json.loads(densify("density", dense, "--baseline", poor, third, "--json").stdout)
    assert [row["name"] for row in report["datasets"]] == ["dense.jsonl"]
    assert [row["name"] for row in report["baseline"]["datasets"]] == ["poor.jsonl", "third.jsonl"]


def test_the_threshold_is_an_option(densify: Densify, dense: Path) -> None:
    report = json.loads(densify("density", dense, "--min-count", "13", "--json").stdout)
    assert (report["min_count"], report["valid_nouns"]) == (13, 0)


def test_rows_are_written_as_csv(densify: Densify, dense: Path, poor: Path, tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    assert densify("density", dense, "--baseline", poor, "--csv", target).exit_code == 0
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert [(row["role"], row["name"]) for row in rows] == [("data", "dense.jsonl"), ("baseline", "poor.jsonl")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b'{"caption": "ok"}\n{"caption": \n', "line 2 is not JSON"),
        ("a.jsonl", b"", "no caption"),
        ("a.xyz", b"", "no kind"),
        ("a.tsv", b"one\ttwo\n1\t2\n", "no caption column"),
        ("a.csv", b"caption,alt text\na dog,a cat\n", "2 columns that could be the caption: caption, alt text"),
    ],
)
def test_captions_that_cannot_be_read_are_told(
    densify: Densify, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    result = densify("density", tmp_path / name)
    assert result.exit_code == 2
    assert says in result.stderr


def test_captions_of_every_bad_kind_are_counted_and_told(densify: Densify, tmp_path: Path) -> None:
    """Empty, a megabyte long, with NULs, in other languages and alphabets, broken UTF-8, emoji alone."""
    sentence = "A dog sleeps near the old house. "
    megabyte = sentence * (1_000_000 // len(sentence) + 1)
    texts = ["", megabyte, "a \0 dog", "Ein Hund schläft, 강아지가 논다, собака спит", "🐶🐶🏖️", "a dog"]
    (tmp_path / "a.jsonl").write_bytes(
        b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts) + b'{"text": "a dog \xff\xfe"}\n'
    )
    result = densify("density", tmp_path / "a.jsonl", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["images"], report["images_without_noun"]) == (7, 2)
    assert report["total_nouns"] > 2 * 1_000_000 // len(sentence)
    reading = report["datasets"][0]["reading"]
    assert (reading["empty"], reading["with_nul"], reading["not_utf8"], reading["bad_lines"]) == (1, 1, 1, 0)
    for note in ("1 captions are empty", "1 captions held a NUL", "1 captions or lines were not valid UTF-8"):
        assert any(note in told for told in report["notes"]), report["notes"]


def test_lines_that_cannot_be_read_are_passed_over_and_counted_when_asked(densify: Densify, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a dog"}\n{"text":\nno json\n{"text": 3}\n{"text": "a cat"}\n')
    result = densify("density", tmp_path / "a.jsonl", "--skip-bad", "--json")
    report = json.loads(result.stdout)
    assert (report["images"], report["datasets"][0]["reading"]["bad_lines"]) == (2, 3)
    assert any("3 lines could not be read" in note for note in report["notes"]), report["notes"]


@pytest.mark.parametrize("role", [[], ["--baseline"]])
def test_folders_and_files_without_captions_are_told(
    densify: Densify, dense: Path, tmp_path: Path, role: list[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    (tmp_path / "empty.jsonl").write_text('{"caption": null}\n')
    for path, says in ((folder, "holds no .txt and no .tar file"), (tmp_path / "empty.jsonl", "holds no caption")):
        result = densify("density", *([dense, *role] if role else []), path)
        assert result.exit_code == 2
        assert f"{path} {says}" in result.stderr.replace("\n", " ")
        assert result.stdout == ""


def test_mixed_languages_are_counted_by_their_own_pipelines(densify: Densify, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("강아지가 공원에서 논다.\na dog in the park\n")
    report = json.loads(densify("density", tmp_path / "a.txt", "--pipeline", "auto", "--json").stdout)
    assert (report["distinct_nouns"], report["images_without_noun"]) == (4, 0)
    assert report["noun_pipeline"].startswith("auto(densify-en-")


def test_a_path_that_is_not_there_is_told(densify: Densify, tmp_path: Path) -> None:
    assert densify("density", tmp_path / "absent.jsonl").exit_code == 2


def test_an_unknown_pipeline_is_told(densify: Densify, dense: Path) -> None:
    result = densify("density", dense, "--pipeline", "klingon")
    assert result.exit_code == 2
    assert "klingon" in result.stderr


def test_real_captions_are_denser_than_real_alt_text(densify: Densify, real_data: Path, tmp_path: Path) -> None:
    texts = real_data / "caption-text"
    few = []
    for name in ("model_dense_llava", "alt_text_noisy"):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join((texts / f"{name}.jsonl").read_text().splitlines()[:300]))
        few.append(file)
    report = json.loads(densify("density", few[0], "--baseline", few[1], "--json").stdout)
    assert report["nouns_per_image"] > 2 * report["baseline"]["nouns_per_image"]


def test_what_was_counted_is_written_caption_by_caption(densify: Densify, tmp_path: Path) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text("a dog near the house\n\nred\n")
    result = densify("density", captions, "--nouns", tmp_path / "nouns.jsonl", "--json")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in (tmp_path / "nouns.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    first = lines[0]
    assert [noun["surface"] for noun in first["nouns"]] == ["dog", "house"]
    assert all(first["text"][noun["start"] : noun["end"]] == noun["surface"] for noun in first["nouns"])
    assert sum(len(line["nouns"]) for line in lines) == json.loads(result.stdout)["total_nouns"]


def test_a_page_is_written_beside_the_table_with_its_figures_and_its_command(
    densify: Densify, dense: Path, poor: Path, tmp_path: Path
) -> None:
    call = ("density", dense, "--baseline", poor, "--html", tmp_path / "page.html", "--nouns", tmp_path / "nouns.jsonl")
    result = densify(*call, "--json")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "page.html").read_text()
    row = json.loads(result.stdout)["datasets"][0]
    cells = (f"{row[name]:,}" for name in ("images", "valid_nouns", "distinct_nouns"))
    assert "<td>dense.jsonl</td>" + "".join(f"<td>{cell}</td>" for cell in cells) in page
    assert " ".join(map(str, call)) in page
    assert page.count("<mark>dog</mark>") == 12
    assert len((tmp_path / "nouns.jsonl").read_text().splitlines()) == 12


def test_the_papers_rows_stand_above_ours(densify: Densify, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a dog\n")
    result = densify("density", tmp_path / "captions.txt", "--paper")
    assert result.stdout.index("SAM-LLaVA") < result.stdout.index("captions.txt")
    for words in ("210K", "2,461K", "8.5%", "13.3%", "18.6%", "26.1%", "327.9M"):
        assert words in result.stdout


# ---- what a trainer reads, the paper's way, the long tail, gained and lost ------------------------------------------


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer with one token a word."""
    return word_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def test_what_a_trainer_reads_leads_the_report(densify: Densify, dense: Path, poor: Path, words: Path) -> None:
    cut = ("--tokens", "6", "--tokenizer", words)
    result = densify("density", dense, "--baseline", poor, *cut)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("What a trainer reads: the first 6 tokens")
    report = json.loads(densify("density", dense, *cut, "--json").stdout)
    assert (report["total_nouns"], report["seen"]["total_nouns"], report["seen"]["loss"]["lost"]) == (36, 24, 12)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--tokens", "77"), "--tokenizer"),
        (("--tokenizer", "t5"), "--tokens"),
        (("--tokens", "77", "--tokenizer", "absent/folder"), "does not load"),
        (("--tokens", "1", "--tokenizer", "WORDS"), "no room"),
        (("--tokens", "-3", "--tokenizer", "WORDS"), "no room"),
        (("--tokens", "many", "--tokenizer", "WORDS"), "--tokens"),
        (("--profile", "paper", "--lemma"), "--lemma"),
        (("--profile", "paper", "--min-count", "10"), "--min-count"),
        (("--profile", "paper", "--no-propn", "--lemma"), "--lemma and --no-propn"),
        (("--profile", "imagen"), "imagen"),
        (("--tail", "-1"), "--tail"),
    ],
)
def test_options_that_cannot_be_are_told(
    densify: Densify, dense: Path, words: Path, options: tuple[str, ...], says: str
) -> None:
    result = densify("density", dense, *(str(words) if option == "WORDS" else option for option in options))
    assert result.exit_code == 2
    assert says in result.stderr
    assert not result.stdout


def test_a_baseline_that_cannot_be_cut_is_told_before_anything_is_counted(
    densify: Densify, dense: Path, words: Path, tmp_path: Path
) -> None:
    counts = tmp_path / "a.nouns.parquet"
    counts.write_bytes(b"")
    cut = ("--tokens", "6", "--tokenizer", words)
    result = densify("density", dense, *cut, "--nouns", tmp_path / "n", "--baseline", counts)
    assert result.exit_code == 2
    assert "holds counts of whole captions" in result.stderr
    assert not (tmp_path / "n").exists()


def test_the_papers_profile_counts_forms_as_written(densify: Densify, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", ["a dog", "DOG", "the Dog"] * 10)
    report = json.loads(densify("density", file, "--profile", "paper", "--json").stdout)
    assert (report["distinct_nouns"], report["valid_nouns"], report["valid_nouns_over"]) == (3, 3, 0)
    assert json.loads(densify("density", file, "--json").stdout)["distinct_nouns"] == 1


def test_counts_of_another_way_are_not_taken_for_the_papers(densify: Densify, tmp_path: Path) -> None:
    file = tmp_path / "a.nouns.parquet"
    file.write_bytes(NounCounts("densify-en-2").to_parquet())
    result = densify("density", file, "--profile", "paper")
    assert result.exit_code == 2
    assert "cannot be added" in result.stderr


def test_the_long_tail_is_in_both_reports(densify: Densify, dense: Path, tmp_path: Path) -> None:
    rare = jsonl(tmp_path / "rare.jsonl", ["A boat near the house."])
    shown = densify("density", rare, dense, "--tail", "2")
    assert shown.exit_code == 0, shown.stderr
    assert "The long tail of all together" in shown.stdout
    report = json.loads(densify("density", rare, dense, "--tail", "1", "--json").stdout)
    examples = report["tail"]["bands"][0]["examples"]
    assert [(each["noun"], each["dataset"], each["excerpt"]) for each in examples] == [
        ("boat", "rare.jsonl", "A boat near the house.")
    ]
    assert report["datasets"][1]["tail"]["nouns"] == 0


def test_gained_and_lost_nouns_come_with_a_baseline(densify: Densify, dense: Path, tmp_path: Path) -> None:
    old = jsonl(tmp_path / "old.jsonl", ["The dog and the boat."] * 12)
    assert "2 nouns gained, 1 lost, at 12 images each" in densify("density", dense, "--baseline", old).stdout
    contrast = json.loads(densify("density", dense, "--baseline", old, "--json").stdout)["contrast"]
    assert [each["noun"] for each in contrast["gained"]] == ["cat", "horse"]
    assert [each["noun"] for each in contrast["lost"]] == ["boat"]


def test_the_csv_stays_one_line_a_row(densify: Densify, dense: Path, poor: Path, words: Path, tmp_path: Path) -> None:
    plain, full = tmp_path / "plain.csv", tmp_path / "full.csv"
    densify("density", dense, "--baseline", poor, "--csv", plain)
    densify("density", dense, "--baseline", poor, "--tail", 3, "--tokens", 6, "--tokenizer", words, "--csv", full)
    assert full.read_text() == plain.read_text()


def test_a_clip_sized_cut_takes_most_nouns_of_real_dense_captions_and_few_of_short_ones(
    densify: Densify, real_data: Path, tmp_path: Path
) -> None:
    few = []
    for name in ("model_dense_llava", "human_short_coco"):
        file = tmp_path / f"{name}.jsonl"
        lines = (real_data / "caption-text" / f"{name}.jsonl").read_text().splitlines()[:100]
        file.write_text("\n".join(lines))
        few.append(file)
    model = Path(analysis.__file__).parents[1] / "captioner" / "demo" / "model"
    cut = ("--tokens", "77", "--tokenizer", model, "--json")
    dense, short = (json.loads(densify("density", file, *cut).stdout)["seen"]["loss"] for file in few)
    assert dense["cut_share"] > 0.95
    assert dense["lost_share"] > 0.4
    assert short["lost_share"] < 0.05
