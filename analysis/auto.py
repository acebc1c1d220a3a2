"""A pipeline for mixed data: each caption goes to the pipeline of its script, Korean to `ko`, everything else to `en`.

Leaves out telling languages of one script apart: French goes to `en`, and is counted as badly as `en` knows French.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from analysis.nouns import Noun, NounPipeline, batches_of

#: A caption is Korean when so large a share of its letters is Hangul: names and brands in it are often Latin.
HANGUL_SHARE = 1 / 3
#: Jamo, as parts of syllables and as letters of their own (ㅋㅋ), then syllables.
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")


class AutoNouns:
    """Two pipelines as one. `name` holds both names: counts of `auto` and of `en` alone are never added."""

    def __init__(self, english: NounPipeline, korean: NounPipeline) -> None:
        self._english, self._korean = english, korean
        self.name = f"auto({english.name}, {korean.name})"

    def nouns(self, texts: Iterable[str]) -> Iterator[list[Noun]]:
        """See NounPipeline."""
        for batch in batches_of(texts, len):
            korean = [is_korean(text) for text in batch]
            sides = {
                True: self._korean.nouns(text for text, is_so in zip(batch, korean, strict=True) if is_so),
                False: self._english.nouns(text for text, is_so in zip(batch, korean, strict=True) if not is_so),
            }
            for is_so in korean:
                yield next(sides[is_so])


def is_korean(text: str) -> bool:
    """Whether a third of the text's letters or more are Hangul (syllables or jamo)."""
    hangul = len(_HANGUL.findall(text))
    return hangul > 0 and hangul >= HANGUL_SHARE * sum(map(str.isalpha, text))
