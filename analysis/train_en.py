"""Trains the English noun tagger that ships in analysis/models/en, from the gold parts of speech of UD English-EWT.

    OMP_NUM_THREADS=1 python -m analysis.train_en ../ud-treebanks [--out analysis/models/en]

The folder holds UD_English-EWT/en_ewt-ud-{train,dev}.conllu (CC BY-SA 4.0; Silveira et al. 2014). Nothing else is
trained on but sentences of our own (train_captions.py); the dictionary is lemminflect's, of one exact version.

Captions are not newswire: they come in lower case, in Title Case, IN CAPITALS, as heaps of words and without a full
stop. So training sees copies of sentences written in those ways.

One core, about three minutes, 4 MB. Expected: NOUN+PROPN F1 of 0.966 on EWT dev.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from analysis.lexicon import Lexicon, store_lexicon
from analysis.train_captions import Captions
from analysis.train_lexicon import build_lexicon
from analysis.treebank import Sentence, read_conllu, score_nouns

log = logging.getLogger("train_en")

NAME, VERSION = "densify_nouns", "2.0.0"
SEED = 7
STEPS = 4000
WARMUP_STEPS = 250
LEARN_RATE = 1e-3
DROPOUT = 0.1
#: Words in a batch, growing linearly over the first half of training.
BATCH_WORDS = (200, 1000)
#: Share of the sentences that are seen a second time in each epoch, written in another way.
COPIES = {"lower": 0.35, "title": 0.15, "upper": 0.03, "heap": 0.1}
#: Caption-like sentences of our own in each epoch.
CAPTIONS = 600
#: Parts of speech that a heap of words keeps, and those that stay in lower case in half of the titles.
HEAPED = frozenset({"NOUN", "PROPN", "ADJ", "NUM", "X"})
SMALL = frozenset({"ADP", "CCONJ", "DET", "PART"})
LICENSE = "CC BY-SA 4.0"
#: Versions of spaCy that may load the pipeline; spaCy itself would write the running patch version as the lowest.
SPACY_VERSION = ">=3.8.0,<4.0.0"
TAGGER = {
    "@architectures": "spacy.Tagger.v2",
    "tok2vec": {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": {
            "@architectures": "densify.LexiconEmbed.v1",
            "width": 64,
            "rows": [5000, 2500, 1000, 1000],
        },
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2",
            "width": 64,
            "depth": 2,
            "window_size": 1,
            "maxout_pieces": 3,
        },
    },
}


def rewrite(sentence: Sentence, way: str, dice: random.Random) -> Sentence:
    """The sentence in lower case, Title Case or CAPITALS, or its nouns and adjectives alone, as in names of products.

    Half of the copies lose a final punctuation mark.
    """
    rows = list(zip(sentence.words, sentence.spaces, sentence.tags, strict=True))
    if len(rows) > 1 and rows[-1][2] == "PUNCT" and dice.random() < 0.5:
        rows.pop()
    if way == "heap":
        rows = [row for row in rows if row[2] in HEAPED] or rows
        way = dice.choice(["lower", "title", "title", "as it is"])
    small = SMALL if way == "title" and dice.random() < 0.5 else frozenset()
    words = (word if tag in small else _written(word, way) for word, _, tag in rows)
    return Sentence(tuple(words), tuple(space for _, space, _ in rows), tuple(tag for _, _, tag in rows))


def _written(word: str, way: str) -> str:
    match way:
        case "lower":
            return word.lower()
        case "title":
            return word[:1].upper() + word[1:]
        case "upper":
            return word.upper()
    return word


def epoch(sentences: list[Sentence], captions: Captions, dice: random.Random) -> Iterator[Sentence]:
    """Every sentence once, some caption-like ones, and their share of copies, shuffled."""
    seen = [*sentences, *captions.sentences(CAPTIONS, dice)]
    for sentence in list(seen):
        for way, share in COPIES.items():
            if dice.random() < share:
                seen.append(rewrite(sentence, way, dice))
    dice.shuffle(seen)
    return iter(seen)


def batches(sentences: list[Sentence], captions: Captions, dice: random.Random) -> Iterator[list[Sentence]]:
    """STEPS batches by number of words."""
    stream: Iterator[Sentence] = iter(())
    low, high = BATCH_WORDS
    for step in range(STEPS):
        size = low + (high - low) * min(1.0, step / (STEPS / 2))
        batch: list[Sentence] = []
        while sum(len(sentence.words) for sentence in batch) < size:
            following = next(stream, None)
            if following is None:
                stream = epoch(sentences, captions, dice)
            else:
                batch.append(following)
        yield batch


def example(nlp: Any, sentence: Sentence) -> Any:
    """A spaCy training example: the bare words, and the words with their tags."""
    from spacy.tokens import Doc
    from spacy.training import Example

    words, spaces = list(sentence.words), list(sentence.spaces)
    gold = Doc(nlp.vocab, words=words, spaces=spaces, tags=list(sentence.tags))
    return Example(Doc(nlp.vocab, words=words, spaces=spaces), gold)


def train(train_set: list[Sentence], dev_set: list[Sentence]) -> Any:
    """Returns the trained pipeline, its weights averaged over the steps."""
    import spacy
    from thinc.api import Adam, NumpyOps, fix_random_seed, set_current_ops, warmup_linear

    # numpy's matrix products: on many processors several times as fast as those of thinc's default.
    set_current_ops(NumpyOps(use_blis=False))
    fix_random_seed(SEED)
    dice = random.Random(SEED)
    nlp = spacy.blank("en")
    tagger: Any = nlp.add_pipe("tagger", config={"model": TAGGER})
    lexicon = build_lexicon(train_set)
    store_lexicon(tagger.model, lexicon)
    captions = Captions(train_set, Lexicon(lexicon))
    every = [example(nlp, sentence) for sentence in train_set]
    nlp.initialize(lambda: every)
    rates: Any = warmup_linear(LEARN_RATE, WARMUP_STEPS, STEPS)
    optimizer = Adam(rates, L2=0.01, grad_clip=1.0, use_averages=True)
    started = time.monotonic()
    for step, batch in enumerate(batches(train_set, captions, dice), start=1):
        losses: dict[str, float] = {}
        nlp.update([example(nlp, sentence) for sentence in batch], sgd=optimizer, drop=DROPOUT, losses=losses)
        optimizer.step_schedules()
        if step % 500 == 0 or step == STEPS:
            with nlp.use_params(optimizer.averages):
                f1 = score_nouns(nlp, dev_set).f1
            elapsed = time.monotonic() - started
            log.info("step %5d  loss %7.1f  dev F1 %.4f  %4.0f s", step, losses["tagger"], f1, elapsed)
    # Kept for good: `use_params` inside the loop only lends the averages for scoring.
    with nlp.use_params(optimizer.averages):
        return spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes(exclude=["vocab"]))


def save(nlp: Any, out: Path) -> None:
    """Writes the pipeline without the vocabulary (UPOS tags are among spaCy's own symbols; words are hashed)."""
    nlp.meta.update(
        name=NAME,
        version=VERSION,
        description="Universal parts of speech for English captions; nouns are NOUN and PROPN.",
        author="Densify; derived from UD English-EWT (Silveira et al. 2014)",
        url="https://universaldependencies.org/treebanks/en_ewt/",
        license=LICENSE,
    )
    kept = {name: (out / name).read_bytes() for name in ("NOTICE", "LICENSE") if (out / name).is_file()}
    if out.exists():
        shutil.rmtree(out)
    nlp.to_disk(out, exclude=["vocab"])
    for name, data in kept.items():
        (out / name).write_bytes(data)
    meta = json.loads((out / "meta.json").read_text())
    meta.pop("performance", None)
    meta["spacy_version"] = SPACY_VERSION
    (out / "meta.json").write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n")


def main() -> None:
    """The command line of the module docstring."""
    parser = argparse.ArgumentParser(description="Train the English noun tagger from UD English-EWT.")
    parser.add_argument("treebanks", type=Path, help="folder that holds UD_English-EWT/")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models" / "en")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = arguments.treebanks / "UD_English-EWT"
    train_set = list(read_conllu(folder / "en_ewt-ud-train.conllu"))
    dev_set = list(read_conllu(folder / "en_ewt-ud-dev.conllu"))
    log.info("%d sentences to train on, %d to watch", len(train_set), len(dev_set))
    save(train(train_set, dev_set), arguments.out)


if __name__ == "__main__":
    main()
