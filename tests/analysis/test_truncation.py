"""What the trainer sees: captions cut where its tokenizer stops, nouns kept only when they are read whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import analysis
from analysis.counts import NounCounts
from analysis.density import table_from_counts
from analysis.nouns import Noun, load_pipeline
from analysis.truncation import Loss, Truncation, truncation
from core.errors import BadFieldError
from tests.analysis.make_tokenizer import word_tokenizer


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return word_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def test_nouns_behind_the_cut_are_lost_and_counted(words: Path) -> None:
    text = "A dog chases a ball near the old house."
    (nouns,) = load_pipeline("en").nouns([text])
    cutter = Truncation(str(words), 6)
    (end,) = cutter.ends([text])
    seen = cutter.see(text, nouns, end)
    assert seen.text == "A dog chases a ball"
    assert [noun.surface for noun in seen.nouns] == ["dog", "ball"]
    assert seen.cut


@pytest.mark.parametrize("text", ["", "   ", "A dog.", "A dog. \n", "🐕" * 3, "x" * 5000])
def test_short_captions_are_read_whole(words: Path, text: str) -> None:
    cutter = Truncation(str(words), 6)
    (end,) = cutter.ends([text])
    assert end == len(text)
    assert not cutter.see(text, [], end).cut


def test_a_caption_alone_and_among_others_is_cut_alike(words: Path) -> None:
    texts = ["one two three four five six seven", "", "a b c d e f g h", "short"]
    cutter = Truncation(str(words), 4)
    assert cutter.ends(texts) == [cutter.ends([text])[0] for text in texts] == [13, 0, 5, 5]
    assert cutter.ends([]) == []


@pytest.mark.parametrize("tokens", [0, 1])
def test_a_limit_without_room_for_a_word_is_refused(words: Path, tokens: int) -> None:
    with pytest.raises(BadFieldError, match="no room"):
        Truncation(str(words), tokens)


def test_a_tokenizer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFieldError, match="does not load"):
        Truncation(str(tmp_path), 77)


def test_captions_are_counted_as_the_trainer_reads_them(words: Path) -> None:
    text = "A dog chases a ball near the old house."
    (nouns,) = load_pipeline("en").nouns([text])
    captions = [(text, nouns)] * 600 + [("A cat.", [])]
    whole, seen = NounCounts("densify-en-2"), NounCounts("densify-en-2")
    for caption in captions:
        whole.add(*caption)
    cutter = Truncation(str(words), 6)
    cut = cutter.counts(captions, seen)
    assert cut == 600
    assert seen.totals.images == 601
    assert set(seen.nouns) == {"dog", "ball"}
    loss = cutter.loss(table_from_counts(whole), table_from_counts(seen), cut)
    assert loss == Loss(str(words), 6, 601, 600, 1800, 600, 1, 1)
    assert loss.as_dict()["lost_share"] == 1 / 3
    assert loss.as_dict()["cut_share"] == 600 / 601


def test_nothing_read_is_nothing_lost() -> None:
    nothing = Loss("t5", 120, 0, 0, 0, 0, 0, 0)
    assert (nothing.cut_share, nothing.lost_share) == (0.0, 0.0)


def test_a_noun_across_the_cut_is_lost(words: Path) -> None:
    cutter = Truncation(str(words), 6)
    dog = Noun("dog", "dog", "NOUN", 2, 5)
    assert cutter.see("a dog", [dog], 4).nouns == []
    assert cutter.see("a dog", [dog], 5).nouns == [dog]


def test_signs_that_give_no_token_are_no_cut(words: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, normalizers

    shutil.copytree(words, tmp_path, dirs_exist_ok=True)
    dropping = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    dropping.normalizer = normalizers.Replace("\u200b", "")
    dropping.save(str(tmp_path / "tokenizer.json"))
    assert Truncation(str(tmp_path), 3).ends(["one dog\u200b", "one dog runs\u200b"]) == [8, 7]


def test_half_a_surrogate_pair_is_cut_like_any_sign(words: Path) -> None:
    assert Truncation(str(words), 4).ends(["\ud800 one two three four five"]) == [15]


def test_more_tokens_than_any_integer_cut_nothing(words: Path) -> None:
    assert Truncation(str(words), 10**30).ends(["one two three"]) == [13]


def test_a_trainer_reads_from_the_beginning_whatever_its_tokenizer_would_drop(words: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(words))
    tokenizer.truncation_side = "left"
    tokenizer.save_pretrained(tmp_path)
    assert Truncation(str(tmp_path), 3).ends(["one two three"]) == [7]


@pytest.mark.parametrize(
    ("file", "content"), [("tokenizer.json", "{"), ("tokenizer.json", "{}"), ("tokenizer_config.json", "[1")]
)
def test_a_damaged_tokenizer_is_refused_in_one_sentence(words: Path, tmp_path: Path, file: str, content: str) -> None:
    shutil.copytree(words, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_text(content)
    with pytest.raises(BadFieldError, match="does not load") as raised:
        Truncation(str(tmp_path), 77)
    assert "\n" not in raised.value.sentence


def test_either_option_alone_is_refused_and_neither_is_no_cut(words: Path) -> None:
    assert truncation(None, None) is None
    with pytest.raises(BadFieldError, match="77 tokens") as raised:
        truncation(None, 77)
    assert "--tokenizer" in raised.value.hint
    with pytest.raises(BadFieldError, match="How many tokens of 't5'") as raised:
        truncation("t5", None)
    assert "--tokens" in raised.value.hint
    both = truncation(str(words), 77)
    assert both is not None
    assert (both.name, both.tokens) == (str(words), 77)


@pytest.mark.parametrize("tokens", [5, 20, 77])
def test_what_is_read_is_what_the_kept_tokens_say(tokens: int) -> None:
    from transformers import AutoTokenizer

    folder = Path(analysis.__file__).parents[1] / "captioner" / "demo" / "model"
    texts = ["A red ball lies on the wooden table, near two grey cats. " * times for times in (1, 2, 9)]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cutter = Truncation(str(folder), tokens)
    for text, end in zip(texts, cutter.ends(texts), strict=True):
        kept = tokenizer(text, truncation=True, max_length=tokens)["input_ids"]
        assert text[:end].strip() == tokenizer.decode(kept, skip_special_tokens=True).strip()
        assert (end < len(text)) == (len(tokenizer(text)["input_ids"]) > tokens)
