"""The density table counted a second time, slowly: by loops over captions, letter by letter, sharing no product code.

For tests. Captions are given as (text, nouns); leaves out finding the nouns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from analysis.density import Table
from analysis.nouns import Noun

Captions = Sequence[tuple[str, Sequence[Noun]]]


def slow_form(word: str) -> str:
    """NFC, lower case, without what is neither letter nor digit at both ends."""
    composed = unicodedata.normalize("NFC", unicodedata.normalize("NFC", word).lower())
    kept = [place for place, sign in enumerate(composed) if sign.isalnum()]
    return composed[kept[0] : kept[-1] + 1] if kept else ""


def slow_words(text: str) -> int:
    """Runs of letters and digits; one apostrophe or hyphen between two of them joins them."""
    words = 0
    for place, sign in enumerate(text):
        begins = sign.isalnum() and not (place and text[place - 1].isalnum())
        joined = place > 1 and text[place - 1] in "'’-" and text[place - 2].isalnum()
        words += begins and not joined
    return words


def slow_forms(nouns: Sequence[Noun], folding: str, names: bool) -> Iterator[str]:
    """The forms under which a caption's nouns count, one for each time."""
    for noun in nouns:
        form = slow_form(noun.lemma if folding == "lemma" else noun.surface)
        if form and (names or noun.tag == "NOUN"):
            yield form


def slow_rows(captions: Captions, folding: str) -> dict[str, list[int]]:
    """{noun: [occurrences, images, occurrences as a common noun, images with it as a common noun]}."""
    every, common = ([list(slow_forms(nouns, folding, names)) for _, nouns in captions] for names in (True, False))
    forms = {form for caption in every for form in caption}
    return {
        form: [
            count
            for side in (every, common)
            for count in (sum(caption.count(form) for caption in side), sum(form in caption for caption in side))
        ]
        for form in forms
    }


def slow_table(captions: Captions, pipeline: str, *, folding: str, names: bool, min_count: int) -> Table:
    """What `densify density` should say of these captions."""
    by_caption = [list(slow_forms(nouns, folding, names)) for _, nouns in captions]
    every = [form for forms in by_caption for form in forms]
    counts = {form: every.count(form) for form in every}
    return Table(
        images=len(captions),
        total_nouns=len(every),
        distinct_nouns=len(counts),
        valid_nouns=sum(count >= min_count for count in counts.values()),
        valid_nouns_over=sum(count > min_count for count in counts.values()),
        min_count=min_count,
        noun_pipeline=pipeline,
        folding=folding,
        names_counted=names,
        words=sum(slow_words(text) for text, _ in captions),
        images_without_noun=by_caption.count([]),
    )
