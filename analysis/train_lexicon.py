"""Makes the lexicon that the English tagger is trained with, from lemminflect's dictionary and the words of a treebank.

The dictionary must be the very one that is named here: the lexicon is stored in the trained model. Serves train_en.py.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files

from analysis.lexicon import folded, lexicon_text
from analysis.treebank import Sentence
from core.errors import InputError

DICTIONARY = "resources/lemma_lu.csv.gz"
DICTIONARY_SHA256 = "fd6f807e796da07f2a430d073cefae17004f7147abda065bb48b129dc29a850f"
DICTIONARY_VERSION = "lemminflect 0.2.3"
LETTERS = {"noun": "N", "verb": "V", "adj": "A", "adv": "R", "aux": "X"}
NAME = "P"
#: A word that training saw fewer times is treated as one that it never saw: so it learns what to do with those.
LEAST_SEEN = 2


def build_lexicon(sentences: Iterable[Sentence]) -> str:
    """The text that analysis.lexicon.Lexicon reads. Raises InputError where another dictionary is installed."""
    kinds: dict[str, set[str]] = {}
    for line in _dictionary().splitlines():
        word, part, lemmas = line.split(",")
        letter = LETTERS[part] if word in lemmas.split("/") else LETTERS[part].lower()
        marks = kinds.setdefault(word.lower(), set())
        marks.add(letter)
        if word != word.lower():
            marks.add(NAME)
    counts = Counter(folded(word) for sentence in sentences for word in sentence.words)
    seen = (word for word, count in counts.items() if count >= LEAST_SEEN and " " not in word)
    return lexicon_text({word: "".join(sorted(marks)) for word, marks in kinds.items()}, seen)


def _dictionary() -> str:
    data = files("lemminflect").joinpath(DICTIONARY).read_bytes()
    if hashlib.sha256(data).hexdigest() != DICTIONARY_SHA256:
        raise InputError(
            "The installed dictionary of lemminflect is another than the tagger's.",
            hint=f"Install {DICTIONARY_VERSION} to train, or name the new dictionary in analysis/train_lexicon.py.",
        )
    return gzip.decompress(data).decode()
