"""The density page: the report's figures, strangers' text made harmless, one file, the same bytes, not too large."""

from __future__ import annotations

import html
import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis import html_report, tables
from analysis.counts import measure
from analysis.gathered import SHOWN, Gathered
from analysis.html_figures import class_names, classes, drawn, shifts
from analysis.html_report import TABLE_ROWS, Story, write_html
from analysis.plots import COLOURS
from analysis.report import payload
from analysis.tables import Counting, Measured, measure_paths
from analysis.truncation import Truncation
from shards.writer import write_shard
from tests.analysis.make_tokenizer import word_tokenizer
from tests.analysis.plain_nouns import PlainNouns
from tests.shards.make_shards import picture

HOSTILE = '</div><script>alert("x")</script> a dog & "cat" <img src=http://evil/x onerror=alert(1)> $\\frac{1}$ 강아지'


@pytest.fixture(autouse=True)
def _plain_nouns(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tables, html_report):
        monkeypatch.setattr(module, "load_pipeline", lambda name="en": PlainNouns())


def jsonl(file: Path, *captions: str, key: str = "k") -> Path:
    rows = ({"key": f"{key}{number}", "caption": caption} for number, caption in enumerate(captions))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def told(paths: list[Path], baseline: list[Path] | None = None, how: Counting | None = None) -> Story:
    how = how or Counting()
    heard = Gathered(names=how.names)
    data = measure_paths(paths, replace(how, told=heard))
    if not baseline:
        return Story(data, heard, how, paths, "densify density")
    before = Gathered(names=how.names, wanted=heard.keys())
    against = measure_paths(baseline, replace(how, told=before))
    return Story(data, heard, how, paths, "densify density", against, before)


def page_of(story: Story, folder: Path) -> str:
    write_html(folder / "page.html", story)
    return (folder / "page.html").read_text()


def text_of(page: str) -> str:
    """What a reader sees, tables as cells parted by |, white space made one."""
    body = re.sub(r"<style.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    body = re.sub(r"</t[dh]>|<small>", " | ", body)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())


def captions(images: int, nouns: int, seed: int) -> list[str]:
    """Captions of words of four letters, frequent ones and rare ones, as in a language."""
    chance = random.Random(seed)
    lexicon = ["".join(chance.choice("abcdefghij") for _ in range(4)) for _ in range(4000)]
    return [
        " ".join(lexicon[min(3999, int(chance.paretovariate(0.6)) - 1)] for _ in range(nouns)) for _ in range(images)
    ]


@pytest.fixture
def two(tmp_path: Path) -> Story:
    return told(
        [jsonl(tmp_path / "rich.jsonl", *captions(120, 20, 1))], [jsonl(tmp_path / "poor.jsonl", *captions(300, 4, 2))]
    )


def test_the_figures_are_those_of_the_json_report(two: Story, tmp_path: Path) -> None:
    text = text_of(page_of(two, tmp_path))
    report = payload(two.data, two.baseline)
    for row in report["at_equal_images"]["rows"]:
        valid, distinct, share = row["valid"], row["distinct"], row["valid_share"]
        assert (
            f"{row['name']} | {valid['value']:,.0f} | {valid['low']:,.0f} – {valid['high']:,.0f} | "
            f"{distinct['value']:,.0f} | {distinct['low']:,.0f} – {distinct['high']:,.0f} | "
            f"{share['value']:.1%} | {share['low']:.1%} – {share['high']:.1%} | {row['nouns_per_image']:.2f} |"
        ) in text
    for row in (*report["datasets"], *report["baseline"]["datasets"]):
        assert (
            f"{row['name']} | {row['images']:,} | {row['valid_nouns']:,} | {row['distinct_nouns']:,} | "
            f"{row['valid_share']:.1%} | {row['valid_nouns_over']:,} ({row['valid_share_over']:.1%}) | "
            f"{row['total_nouns']:,} | {row['nouns_per_image']:.2f} | {row['words_per_image']:.1f} | "
            f"{row['images_without_noun']:,} |"
        ) in text
    assert all(note in text for note in report["notes"])
    assert text.index("At equal numbers of images") < text.index("All images")


def test_strangers_text_is_shown_and_never_run(tmp_path: Path) -> None:
    names = ['a<script>"&.jsonl', "b<img src=x>.jsonl"]
    files = [jsonl(tmp_path / name, *[HOSTILE] * 12, "", "\ud83d half a pair") for name in names]
    page = page_of(told(files[:1], files[1:]), tmp_path)
    assert "<script" not in page
    assert "<img" not in page
    assert text_of(page).count('</div><script>alert("x")</script>') >= 2
    assert "baseline: b<img src=x>.jsonl" in text_of(page)


class Outside(HTMLParser):
    """Collects whatever makes a browser load something, and elements that do not end where they began."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.loads += [tag] if tag in ("script", "link", "iframe", "object", "embed", "base", "form") else []
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_the_page_loads_nothing_and_its_elements_are_nested(two: Story, tmp_path: Path) -> None:
    page = page_of(two, tmp_path)
    parser = Outside()
    parser.feed(page)
    assert all(load.startswith("#") for load in parser.loads), set(parser.loads)
    assert (parser.wrong, parser.open) == ([], [])
    assert not re.search(r"url\((?!#)|@import|https?:", page)


def test_the_same_call_gives_the_same_bytes(two: Story, tmp_path: Path) -> None:
    write_html(tmp_path / "a.html", two)
    again = told([tmp_path / "rich.jsonl"], [tmp_path / "poor.jsonl"])
    write_html(tmp_path / "b.html", again)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_shards_have_pictures_beside_their_captions_and_old_text(tmp_path: Path) -> None:
    origin = json.dumps({"densify": {"old_text": "IMG <b>1</b>"}}).encode()
    samples = [
        (f"k{n:03d}", {"jpg": picture(n, (600, 400)), "txt": f"a dog {n}".encode(), "json": origin}) for n in range(30)
    ]
    write_shard(tmp_path / "a.tar", samples)
    page = page_of(told([tmp_path / "a.tar"]), tmp_path)
    assert page.count('<img src="data:image/jpeg;base64,') == SHOWN
    assert page.count("old text: ") == SHOWN
    assert "<mark>dog</mark>" in page
    assert "IMG</mark> &lt;" in page


def test_a_baselines_text_of_the_same_key_stands_beside_but_never_that_of_the_same_line(tmp_path: Path) -> None:
    ours = jsonl(tmp_path / "ours.jsonl", "a dog", "a cat and a dog")
    theirs = jsonl(tmp_path / "theirs.jsonl", "dog photo", "cat photo")
    assert page_of(told([ours], [theirs]), tmp_path).count('class="old">baseline: ') == 2
    (tmp_path / "ours.txt").write_text("a dog\na cat and a dog\n")
    (tmp_path / "theirs.txt").write_text("dog photo\ncat photo\n")
    assert 'class="old"' not in page_of(told([tmp_path / "ours.txt"], [tmp_path / "theirs.txt"]), tmp_path)


def test_counts_without_captions_make_a_page_without_lengths_and_samples(tmp_path: Path) -> None:
    counts, _ = measure((("k", text) for text in ["a dog and a cat"] * 20), PlainNouns())
    (tmp_path / "a.nouns.parquet").write_bytes(counts.to_parquet())
    page = page_of(told([tmp_path / "a.nouns.parquet"]), tmp_path)
    assert page.count("<svg") == 3
    assert "<h2>Captions" not in page
    assert "a.nouns.parquet | 20 | 2 | 2 | 100.0% |" in text_of(page)


@pytest.mark.parametrize("texts", [["", " "], ["a"], ["dog"]])
def test_next_to_nothing_makes_a_page(tmp_path: Path, texts: list[str]) -> None:
    page = page_of(told([jsonl(tmp_path / "a.jsonl", *texts)]), tmp_path)
    assert page.count("<svg") == 4
    assert "nan" not in text_of(page)


def test_many_long_captions_and_data_sets_make_no_large_page(tmp_path: Path) -> None:
    files = []
    for number in range(TABLE_ROWS + 10):
        files.append(jsonl(tmp_path / f"{number}{'x' * 180}.jsonl", "<dog> & 'cat' " * 3000 if number < 12 else "dog"))
    page = page_of(replace(told(files[:-1], files[-1:]), command="densify " + "a.tar " * 10_000), tmp_path)
    assert len(page.encode()) < 2_000_000
    assert f"{10 + 1} more rows are left out" in text_of(page)
    assert f"{len(files) - COLOURS} more data sets are not drawn" in text_of(page)


def test_large_noisy_pictures_make_no_large_page(tmp_path: Path) -> None:
    samples = [(f"k{n}", {"jpg": picture(-1, (336, 336)), "txt": f"dog {n}".encode()}) for n in range(SHOWN)]
    write_shard(tmp_path / "a.tar", samples)
    page = page_of(told([tmp_path / "a.tar"]), tmp_path)
    assert page.count("<img ") == SHOWN
    assert len(page) < 2_000_000


def test_options_of_the_count_reach_the_page(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", *["Rex and two dogs and a dog"] * 5)
    page = page_of(told([file], how=Counting(names=False, folding="lemma", min_count=3)), tmp_path)
    assert "<mark>Rex</mark>" not in page
    assert "<mark>dogs</mark>" in page
    text = text_of(page)
    assert "VN (≥ 3)" in text
    assert "common nouns only, singular, lower case" in text


def test_the_papers_profile_leads_with_more_than_the_threshold_everywhere(tmp_path: Path) -> None:
    ours = jsonl(tmp_path / "ours.jsonl", *["dog cat"] * 10, "dog")
    theirs = jsonl(tmp_path / "theirs.jsonl", *["bird"] * 11)
    story = told([ours], [theirs], Counting(folding="raw", profile="paper", tail=2))
    text = text_of(page_of(replace(story, paper=True), tmp_path))
    # Eleven dogs are valid here, ten cats are not.
    assert "ours.jsonl | 11 | 1 | 2 | 50.0% | 2 (100.0%) |" in text
    assert "VN (> 10) | DN | VN/DN | VN (≥ 10)" in text
    assert "50.0%baseline 100.0%, at 11 images each" in text
    assert "they occur more than 10 times" in text
    assert text.count("at least 10 times") == text.count("beside it, those seen at least 10 times")
    assert "5–9 | 10 | 11 or more" in text
    assert "Gained: 1valid here, not in the baseline dog" in text
    assert "1 nouns occur fewer than 11 times." in text
    assert "SAM-LLaVA | 23K | 124K | 18.6% | 327.9M | 29.3" in text


def test_where_a_trainer_cuts_what_it_reads_leads_and_the_rest_is_struck_out(tmp_path: Path) -> None:
    ours = jsonl(tmp_path / "ours.jsonl", *["a dog and a cat near the house"] * 12)
    theirs = jsonl(tmp_path / "theirs.jsonl", *["a dog"] * 3)
    how = Counting(trainer=Truncation(str(word_tokenizer(tmp_path / "tokenizer")), 6))
    story = told([ours], [theirs], how)
    page = page_of(story, tmp_path)
    text = text_of(page)
    row = payload(story.data, story.baseline)["seen_at_equal_images"]["rows"][0]
    assert f"ours.jsonl | {row['valid']['value']:.0f} | " in text.split("At equal numbers of images, as the trainer")[1]
    assert "12 (100.0%) | 24 (50.0%) | 2 |" in text.split("What a trainer reads")[1].split("At equal numbers")[0]
    assert "All images, whole captions" in text
    assert "as a trainer reads them, cut after 6 tokens: A caption here has 2.0 nouns on average" in text
    assert page.count("<mark>cat</mark><s> <mark>near</mark> the <mark>house</mark></s>") == SHOWN
    assert "<s>" not in page_of(told([ours], [theirs]), tmp_path)


def test_the_long_tail_is_shown_where_it_was_asked_for(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", *["a dog"] * 12, "a <b> on a roof", "a cat, a cat")
    text = text_of(page_of(told([file], how=Counting(tail=3)), tmp_path))
    tail = text.split("The long tail")[1]
    assert "a <b> on a roof k12" in tail
    assert tail.index("1 occurrence: ") < tail.index("2–4 occurrences: ")
    assert "The long tail" not in text_of(page_of(told([file]), tmp_path))


# ---- parts ----------------------------------------------------------------------------------------------------------


def measured(tmp_path: Path, *texts: str, name: str = "a", **how: Any) -> Measured:
    return measure_paths([jsonl(tmp_path / f"{name}.jsonl", *texts)], Counting(**how))


@pytest.mark.parametrize(
    ("min_count", "names", "valid"),
    [
        (10, ["once", "2–4", "5–9", "10 or more"], 1),
        (20, ["once", "2–4", "5–9", "10–19", "20 or more"], 1),
        (3, ["once", "2", "3–4", "5–9", "10 or more"], 3),
        (1, ["once", "2–4", "5–9", "10 or more"], 4),
    ],
)
def test_classes_of_frequency_have_the_threshold_among_them(min_count: int, names: list[str], valid: int) -> None:
    found = class_names(min_count)
    assert [each["name"] for each in found] == names
    assert sum(each["valid"] for each in found) == valid


def test_shares_of_nouns_by_frequency_add_up(tmp_path: Path) -> None:
    row = measured(tmp_path, "dog " * 12, "cat " * 10, "bird " * 9, "fish fish", "boat", "car").whole
    assert classes(row, 10) == [("2", 2 / 6), ("1", 1 / 6), ("1", 1 / 6), ("2", 2 / 6)]
    assert row.table.valid_nouns == 2


def test_nouns_gained_and_lost_have_bars_of_the_same_scale(tmp_path: Path) -> None:
    ours = measured(tmp_path, *["dog cat"] * 20, name="ours")
    theirs = measured(tmp_path, *["cat"] * 30, *["bird"] * 10, name="theirs")
    found = shifts(ours, theirs)
    assert found is not None
    (_, _, gained, dogs), (_, _, lost, birds) = found["sides"]
    assert (found["images"], gained, lost) == (20, 1, 0)
    assert dogs == [("dog", [("1,000", 1.0), ("0", 0.0)])]
    assert birds == []
    assert shifts(ours, None) is None


def test_colours_are_shared_out_between_data_and_baselines(tmp_path: Path) -> None:
    row = measured(tmp_path, "dog").whole

    def looks(ours: int, theirs: int) -> str:
        found = drawn(Measured((row,) * ours, row), Measured((row,) * theirs, row) if theirs else None)
        assert [each.look.colour for each in found] == list(range(len(found)))
        assert all(each.look.dashed == (each.role == "baseline") for each in found)
        return "".join(each.role[0] for each in found)

    assert looks(1, 0) == "d"
    assert looks(3, 2) == "dddbb"
    assert looks(9, 0) == "d" * 8
    assert looks(9, 9) == "ddddbbbb"
    assert looks(1, 9) == "dbbbbbbb"
    assert looks(9, 1) == "dddddddb"
