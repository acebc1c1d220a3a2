"""`auto`: every caption goes to the pipeline of its script, in order, whatever its neighbours are."""

from __future__ import annotations

import pytest

from analysis.auto import is_korean
from analysis.nouns import load_pipeline

KOREAN, ENGLISH = "강아지가 공원에서 논다.", "A dog plays in the park."


def test_each_caption_is_tagged_as_if_it_were_alone() -> None:
    auto, english, korean = (load_pipeline(name) for name in ("auto", "en", "ko"))
    texts = [KOREAN, ENGLISH, "", ENGLISH, KOREAN, "BTS 공연장 stage"] * 100
    found = list(auto.nouns(texts))
    alone = {text: next((korean if is_korean(text) else english).nouns([text])) for text in set(texts)}
    assert found == [alone[text] for text in texts]
    assert auto.name == f"auto({english.name}, {korean.name})"


@pytest.mark.parametrize(
    ("text", "korean"),
    [
        (KOREAN, True),
        (ENGLISH, False),
        ("", False),
        ("123", False),
        ("BTS 공연장", True),
        ("ㅋㅋㅋ", True),
        ("\u1100\u1161\u11bc 강", True),
        ("Photo of 개 in Seoul", False),
    ],
)
def test_a_third_of_hangul_makes_a_caption_korean(text: str, korean: bool) -> None:
    assert is_korean(text) is korean
