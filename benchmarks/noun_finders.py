"""What benchmarks/density.py compares: Densify's `en`, the same weights in spaCy's own form, NLTK's perceptron tagger.

Every one takes plain texts and gives the places of their nouns. Also how they are timed, and scored on gold tokens.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from record import cores

from analysis.nouns import ENGLISH_FOLDER, load_pipeline
from analysis.treebank import NOUN_TAGS, read_conllu
from analysis.words import clean, is_noun_form

Spans = list[tuple[int, int]]
CAPTION_GOLD = Path(__file__).parent.parent / "tests" / "analysis" / "caption_gold.jsonl"


class Densify:
    """`en`, as `densify density` and the service's workers use it."""

    def __init__(self) -> None:
        self.pipeline = load_pipeline("en")

    def spans(self, texts: Iterable[str]) -> Iterator[Spans]:
        for nouns in self.pipeline.nouns(texts):
            yield [(noun.start, noun.end) for noun in nouns]


class Spacy:
    """The weights behind `en` in nlp.pipe, with spaCy's defaults but for `processes`."""

    def __init__(self, nlp: Any, processes: int = 1) -> None:
        self.nlp, self.processes = nlp, processes

    def spans(self, texts: Iterable[str]) -> Iterator[Spans]:
        for doc in self.nlp.pipe(texts, n_process=self.processes):
            yield [(token.idx, token.idx + len(token)) for token in doc if token.tag_ in NOUN_TAGS]


def default_form() -> Any:
    """The weights behind `en` as spaCy loads them; parts of speech are in `token.tag_`."""
    from analysis.english import load_english

    return load_english(ENGLISH_FOLDER)


class Nltk:
    """NLTK's word tokeniser and perceptron tagger."""

    def __init__(self, tagger: Any) -> None:
        from nltk.tokenize import NLTKWordTokenizer

        self.tagger, self.tokenizer = tagger, NLTKWordTokenizer()

    def spans(self, texts: Iterable[str]) -> Iterator[Spans]:
        for text in texts:
            found, place = [], 0
            for word, tag in self.tagger.tag(self.tokenizer.tokenize(text)):
                # It rewrites quotation marks, which are then not found; and they are no nouns.
                start = text.find(word, place)
                if start >= 0:
                    place = start + len(word)
                    if tag in NOUN_TAGS or tag.startswith("NN"):
                        found.append((start, place))
            yield found


def nltk_tagger(treebank: Path | None, sentences: int | None) -> tuple[Nltk | None, str]:
    """(NLTK's tagger, or None; a sentence on it). With its own model where that is installed, else trained here.

    `treebank`: folder of EWT; `sentences`: how many of its train part, None for all.
    """
    try:
        from nltk.tag.perceptron import PerceptronTagger
    except ImportError:
        return None, "NLTK is not installed and was left out."
    try:
        return Nltk(PerceptronTagger()), "NLTK: its own English model."
    except LookupError:
        if treebank is None:
            return None, "NLTK was left out: neither its model nor a treebank to train it on is here."
    tagger = PerceptronTagger(load=False)
    random.seed(0)  # it shuffles with Python's own
    gold = [list(zip(each.words, each.tags, strict=True)) for each in read_conllu(treebank / "en_ewt-ud-train.conllu")]
    tagger.train(gold[:sentences])
    return Nltk(tagger), (
        "NLTK: its own model is a separate download that was not here, so its perceptron tagger was trained on EWT "
        f"train ({len(gold[:sentences]):,} sentences, its default five rounds)."
    )


EN, SPACY, NLTK = "`en`, one core", "spaCy's default form, one core", "NLTK's perceptron tagger, one core"
EN_TWO, SPACY_TWO = "`en`, two processes, two cores", "spaCy's n_process=2, two cores"

# ---- speed ----------------------------------------------------------------------------------------------------------


def found_in(finder: Any, texts: Sequence[str]) -> int:
    """How many nouns it finds."""
    return sum(len(spans) for spans in finder.spans(texts))


def found_by_densify(texts: Sequence[str]) -> int:
    """How many nouns `en` finds; for a process of its own, where the pipeline stays loaded."""
    return found_in(Densify(), texts)


class TwoProcesses:
    """`en` twice, each with every second caption."""

    def __init__(self, stack: ExitStack) -> None:
        spawn = get_context("spawn")
        self._pools = [stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn)) for _ in range(2)]

    def count(self, texts: Sequence[str]) -> int:
        halves = [pool.submit(found_by_densify, texts[half::2]) for half, pool in enumerate(self._pools)]
        return sum(half.result() for half in halves)


@dataclass(frozen=True)
class Counter:
    """Counts the nouns of texts, on so many cores."""

    cores: int
    count: Callable[[Sequence[str]], int]


def rounds_of(counters: Mapping[str, Counter], texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Captions a second of each, in turn, round by round, new captions in each; the last of them are for warming up."""
    share = len(texts) // (rounds + 1)
    rates: dict[str, list[float]] = {name: [] for name in counters}
    warm_up = texts[rounds * share :][: share // 10 + 1]
    for part in [warm_up, *(texts[number * share : (number + 1) * share] for number in range(rounds))]:
        found = {}
        for name, counter in counters.items():
            with cores(counter.cores):
                begin = time.perf_counter()
                found[name] = counter.count(part)
                seconds = time.perf_counter() - begin
            if part is not warm_up:
                rates[name].append(len(part) / seconds)
        assert found[EN] == found[EN_TWO], "two processes found other nouns than one"
        print(", ".join(f"{name}: {each[-1]:,.0f}/s" for name, each in rates.items() if each) or "warm")
    return rates


# ---- gold -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gold:
    """A text, the places of its tokens, and whether each is a noun."""

    text: str
    tokens: Spans
    nouns: Sequence[bool]


def treebank_gold(treebank: Path) -> list[Gold]:
    """EWT test, sentence by sentence."""
    found = []
    for sentence in read_conllu(treebank / "en_ewt-ud-test.conllu"):
        text, tokens = "", []
        for word, space in zip(sentence.words, sentence.spaces, strict=True):
            tokens.append((len(text), len(text) + len(word)))
            text += word + " " * space
        found.append(Gold(text, tokens, [tag in NOUN_TAGS for tag in sentence.tags]))
    return found


def caption_gold() -> list[Gold]:
    """The annotated captions among the tests."""
    found = []
    for line in CAPTION_GOLD.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tokens = [(start, start + len(word)) for start, word in zip(row["starts"], row["tokens"], strict=True)]
        found.append(Gold(row["text"], tokens, [number in row["nouns"] for number in range(len(tokens))]))
    return found


def f1(finder: Any, gold: Sequence[Gold]) -> float:
    """Of the gold tokens that are words: no URL, number or lone letter. Found: a found noun shares a letter with it."""
    true = said = both = 0
    for each, spans in zip(gold, finder.spans([each.text for each in gold]), strict=True):
        cleaned = clean(each.text)
        letters = {place for start, end in spans for place in range(start, end)}
        for (start, end), noun in zip(each.tokens, each.nouns, strict=True):
            if is_noun_form(cleaned[start:end].strip()):
                found = not letters.isdisjoint(range(start, end))
                true, said, both = true + noun, said + found, both + (noun and found)
    return 2 * both / (true + said)
