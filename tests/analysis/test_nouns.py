from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest
import spacy

from analysis import nouns as module
from analysis.english import load_english
from analysis.nouns import ENGLISH_FOLDER, ENGLISH_NAME, NounPipeline, load_pipeline
from analysis.treebank import Sentence, read_conllu, score_nouns
from core.errors import BadFieldError, MissingPackageError

#: Weights behind ENGLISH_NAME. Other weights count other nouns: give them a new number, then change this.
ENGLISH_WEIGHTS = "0740c287beb0efb7"


@pytest.fixture(scope="module")
def english() -> NounPipeline:
    return load_pipeline("en")


def surfaces(pipeline: NounPipeline, text: str) -> list[str]:
    return [noun.surface for noun in next(pipeline.nouns([text]))]


def test_the_shipped_pipeline_finds_the_nouns_of_a_caption(english: NounPipeline) -> None:
    text = "A young girl is holding a tennis racket on a court in Paris, and two dogs sleep near the old fence."
    found = next(english.nouns([text]))
    assert [noun.surface for noun in found] == ["girl", "tennis", "racket", "court", "Paris", "dogs", "fence"]
    assert [noun.tag for noun in found] == ["NOUN", "NOUN", "NOUN", "NOUN", "PROPN", "NOUN", "NOUN"]
    assert [noun.lemma for noun in found] == ["girl", "tennis", "racket", "court", "paris", "dog", "fence"]


@pytest.mark.parametrize("write", [str.lower, str.upper, str.title])
def test_nouns_are_found_however_the_caption_is_written(english: NounPipeline, write: object) -> None:
    text = write("a brown dog on the beach with a red ball")  # type: ignore[operator]
    assert [surface.lower() for surface in surfaces(english, text)] == ["dog", "beach", "ball"]


def test_offsets_point_into_the_text_as_given(english: NounPipeline) -> None:
    text = "<b>A dog</b>\x00 and\n a cat|house at www.example.org 🐶 cafe\u0301 \ud800 tree, near the river."
    found = next(english.nouns([text]))
    assert [noun.surface for noun in found] == ["dog", "cat", "house", "cafe\u0301", "tree", "river"]
    assert all(text[noun.start : noun.end] == noun.surface for noun in found)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "!!!", "🐶🐶", "123 456", "\x00", "https://example.org/dog.jpg"])
def test_a_text_without_words_has_no_nouns(english: NounPipeline, text: str) -> None:
    assert surfaces(english, text) == []


def test_texts_come_back_in_order_and_lazily(english: NounPipeline) -> None:
    words = ["dog", "cat", "house", "tree"]
    texts = (f"a {words[number % 4]}" for number in range(10**9))
    results = english.nouns(texts)
    assert [[noun.surface for noun in next(results)] for _ in range(600)] == [[words[n % 4]] for n in range(600)]


def test_company_changes_nothing(english: NounPipeline) -> None:
    texts = [f"A {word} stands on the {place}." for word in ("dog", "cat") for place in ("road", "roof", "lawn")]
    together = list(english.nouns(texts * 100))
    assert together == [next(english.nouns([text])) for text in texts] * 100


def test_a_caption_of_a_megabyte_is_read_in_pieces_and_in_bounded_time(english: NounPipeline) -> None:
    sentence = "A dog sleeps near the old house. "
    text = sentence * (300_000 // len(sentence))
    found = next(english.nouns([text]))
    assert len(text) > 10 * module.PIECE_CHARACTERS
    assert len(found) == 2 * (300_000 // len(sentence))
    assert all(text[noun.start : noun.end] == noun.surface for noun in found)


@pytest.mark.parametrize("unit", [")", "'ll", '"(', "🐶", "a", "개고양이", "10km"])
def test_a_run_without_spaces_takes_bounded_time(english: NounPipeline, unit: str) -> None:
    started = time.monotonic()
    next(english.nouns([unit * (200_000 // len(unit))]))
    assert time.monotonic() - started < 20


def test_threads_share_a_pipeline(english: NounPipeline) -> None:
    texts = [f"A dog and a cat {'and a bird ' * (number % 5)}on the roof." for number in range(100)]
    expected = list(english.nouns(texts))
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(list(english.nouns(texts)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 3


def test_words_are_forgotten_after_each_batch(english: NounPipeline) -> None:
    next(english.nouns(["a zyzzyvaquux on a flibbertywidget"]))
    strings = english._nlp.vocab.strings  # type: ignore[attr-defined]
    assert "zyzzyvaquux" not in strings


@pytest.mark.parametrize(
    ("surface", "lemma"),
    [
        ("dogs", "dog"),
        ("children", "child"),
        ("business", "business"),
        ("café", "café"),
        ("skies", "sky"),
        ("CPI", "cpi"),
        ("frisbees", "frisbee"),
        ("hoverboards", "hoverboard"),
    ],
)
def test_the_lemma_of_a_common_noun_is_its_singular(surface: str, lemma: str) -> None:
    assert module.english_lemma(surface, "NOUN") == lemma


# ---- what ships -----------------------------------------------------------------------------------------------------


def test_the_name_stands_for_exactly_these_weights(english: NounPipeline) -> None:
    weights = hashlib.sha256((ENGLISH_FOLDER / "tagger" / "model").read_bytes()).hexdigest()[:16]
    assert (english.name, weights) == (ENGLISH_NAME, ENGLISH_WEIGHTS)


def test_the_shipped_model_is_small_and_carries_its_licence() -> None:
    files = [file for file in ENGLISH_FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 5_000_000
    notice = (ENGLISH_FOLDER / "NOTICE").read_text()
    assert "Silveira" in notice
    assert "CC BY-SA 4.0" in notice
    assert "Brad Jascob" in notice
    assert "Attribution-ShareAlike 4.0" in (ENGLISH_FOLDER / "LICENSE").read_text()


EWT = "UD_English-EWT/en_ewt-ud-test.conllu"
GUM = "UD_English-GUM-CCBY/en_gum_ccby-ud-test.conllu"
WRITTEN = {"as it is": str, "lower": str.lower, "Title": lambda word: word[:1].upper() + word[1:], "UPPER": str.upper}


@pytest.mark.parametrize(
    ("file", "way", "least"),
    [
        (EWT, "as it is", 0.969),
        (EWT, "lower", 0.966),
        (EWT, "Title", 0.968),
        (EWT, "UPPER", 0.965),
        (GUM, "as it is", 0.969),
        (GUM, "lower", 0.967),
        (GUM, "Title", 0.968),
        (GUM, "UPPER", 0.967),
    ],
)
def test_noun_f1_on_gold_tokens_is_as_documented(real_data: Path, file: str, way: str, least: float) -> None:
    write = WRITTEN[way]
    sentences = [
        Sentence(tuple(map(write, sentence.words)), sentence.spaces, sentence.tags)
        for sentence in read_conllu(real_data / "ud-treebanks" / file)
    ]
    score = score_nouns(load_english(ENGLISH_FOLDER), sentences)
    assert score.gold > 3000
    assert score.f1 >= least


# ---- other pipelines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "de", "spacy:", "en_core_web_sm"])
def test_an_unknown_pipeline_is_refused(name: str) -> None:
    with pytest.raises(BadFieldError, match="There is no noun pipeline"):
        load_pipeline(name)


def test_a_pipeline_that_is_not_installed_is_named_with_its_command() -> None:
    with pytest.raises(MissingPackageError, match="'xx_no_such_pipeline' is not installed") as caught:
        load_pipeline("spacy:xx_no_such_pipeline")
    assert "spacy download xx_no_such_pipeline" in caught.value.hint


def test_an_installed_spacy_pipeline_serves(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add(patterns=[[{"LOWER": {"IN": ["dog", "dogs"]}}]], attrs={"POS": "NOUN", "LEMMA": "dog"})  # type: ignore[attr-defined]
    ruler.add(patterns=[[{"LOWER": "rome"}]], attrs={"POS": "PROPN"})  # type: ignore[attr-defined]
    nlp.meta.update(name="ruled", version="2.1.0")
    nlp.to_disk(tmp_path / "ruled")
    pipeline = load_pipeline(f"spacy:{tmp_path / 'ruled'}")
    assert pipeline.name == "spacy:en_ruled-2.1.0"
    assert next(pipeline.nouns(["Dogs in Rome"])) == [
        module.Noun("Dogs", "dog", "NOUN", 0, 4),
        module.Noun("Rome", "Rome", "PROPN", 8, 12),
    ]


def test_a_pipeline_without_parts_of_speech_is_refused(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(BadFieldError, match="sets no parts of speech"):
        load_pipeline(f"spacy:{tmp_path / 'blank'}")
