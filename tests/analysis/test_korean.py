"""Korean nouns: cut off their particles, at their places in the text, bound nouns and verbs left out."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.korean import KiwiNouns, compose
from analysis.nouns import NounPipeline, load_pipeline
from analysis.tables import Counting, measure_paths
from analysis.words import is_noun_form
from core.errors import MissingPackageError


@pytest.fixture(scope="module")
def korean() -> NounPipeline:
    return load_pipeline("ko")


def forms(pipeline: NounPipeline, text: str) -> list[tuple[str, str]]:
    (found,) = pipeline.nouns([text])
    assert all(text[noun.start : noun.end] == noun.surface for noun in found)
    return [(noun.surface, noun.tag) for noun in found]


def test_nouns_are_cut_off_their_particles(korean: NounPipeline) -> None:
    assert forms(korean, "강아지와 고양이가 공원에서 놀고 있다.") == [
        ("강아지", "NOUN"),
        ("고양이", "NOUN"),
        ("공원", "NOUN"),
    ]


def test_names_are_names_and_bound_nouns_are_none(korean: NounPipeline) -> None:
    assert forms(korean, "서울의 공원에 개 한 마리가 있다.") == [("서울", "PROPN"), ("공원", "NOUN"), ("개", "NOUN")]


@pytest.mark.parametrize("text", ["", " ", "\0", "😀😀", "a red boat", "ㅋㅋㅋ", "\ud800", "x" * 3000])
def test_any_text_is_taken(korean: NounPipeline, text: str) -> None:
    assert forms(korean, text) == []


def test_long_texts_are_read_in_pieces_with_true_places(korean: NounPipeline) -> None:
    text = "강아지가 공원에서 논다. " * 3000
    assert len(forms(korean, text)) == 6000


def test_emoji_and_html_do_not_move_the_places(korean: NounPipeline) -> None:
    text = "😀 <b>강아지</b>가 🏖️해변에서 👨‍👩‍👧 가족과 논다"
    assert [surface for surface, _ in forms(korean, text)] == ["강아지", "해변", "가족"]


def test_syllables_in_parts_are_the_same_words(korean: NounPipeline) -> None:
    text = "강아지와 고양이가 park 공원에서 논다"
    parts = unicodedata.normalize("NFD", text)
    assert len(parts) > len(text)
    found = forms(korean, parts)
    assert [unicodedata.normalize("NFC", surface) for surface, _ in found] == ["강아지", "고양이", "공원"]
    assert [noun.lemma for noun in next(korean.nouns([parts]))] == ["강아지", "고양이", "공원"]


@pytest.mark.parametrize(
    "text", ["", "a dog", "\u1100", "\u1100\u1161", "가\u11a8", "각\u11a8x", "x\u1112\u1175\u11c2y"]
)
def test_syllables_are_joined_with_true_places(text: str) -> None:
    joined, places = compose(text)
    assert joined == unicodedata.normalize("NFC", text)
    assert len(places) == len(joined) + 1
    assert (places[0], places[-1]) == (0, len(text))
    for place, sign in enumerate(joined):
        assert unicodedata.normalize("NFC", text[places[place] : places[place + 1]]) == sign


def test_without_its_package_the_pipeline_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    with pytest.raises(MissingPackageError, match="`ko` needs kiwipiepy") as caught:
        KiwiNouns()
    assert "pip install densify[korean]" in caught.value.hint


def test_the_name_says_program_and_dictionary(korean: NounPipeline) -> None:
    import kiwipiepy
    import kiwipiepy_model

    assert korean.name == f"kiwi-{kiwipiepy.__version__}-model-{kiwipiepy_model.__version__}"


# ---- real captions --------------------------------------------------------------------------------------------------


def test_real_korean_captions_give_the_documented_table(real_data: Path) -> None:
    file = real_data / "ko-en-parallel" / "captions_korsts.tsv"
    table = measure_paths([file], Counting(pipeline="ko", column="ko")).whole.table
    assert (table.images, table.images_without_noun) == (2321, 0)
    assert table.nouns_per_image == pytest.approx(3.9, abs=0.1)
    assert table.valid_share == pytest.approx(0.121, abs=0.01)


def gold_nouns(file: Path) -> Iterator[tuple[str, Counter[str]]]:
    """(sentence, its common nouns and names, as the treebank cuts them off their particles)."""
    for block in file.read_text(encoding="utf-8").strip().split("\n\n"):
        nouns: Counter[str] = Counter()
        for line in block.splitlines():
            if line.startswith("# text = "):
                text = line.removeprefix("# text = ")
            elif not line.startswith("#"):
                columns = line.split("\t")
                parts = zip(columns[2].split("+"), columns[4].split("+"), strict=False)
                nouns.update(part for part, tag in parts if tag in ("NNG", "NNP") and is_noun_form(part))
        yield text, nouns


def test_nouns_are_those_of_the_gold_treebank(korean: NounPipeline, real_data: Path) -> None:
    sentences, gold = zip(*gold_nouns(real_data / "ud-treebanks/UD_Korean-GSD/ko_gsd-ud-test.conllu"), strict=True)
    found = [Counter(noun.lemma for noun in nouns) for nouns in korean.nouns(sentences)]
    correct = sum((ours & theirs).total() for ours, theirs in zip(found, gold, strict=True))
    both = sum(nouns.total() for nouns in [*found, *gold])
    assert both > 13_000
    assert 2 * correct / both > 0.89
