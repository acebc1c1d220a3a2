from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from scenes.captions import dense
from scenes.graph import Scene, sample_scene
from scenes.oldtext import KINDS, OldText, old_text
from scenes.parser import parse
from scenes.scorer import score


def draw(seed: int, number: int = 3000) -> list[tuple[Scene, OldText]]:
    rng = np.random.default_rng(seed)
    return [(scene, old_text(scene, rng)) for scene in (sample_scene(rng) for _ in range(number))]


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Scene, OldText]]:
    return draw(41)


def of_kind(drawn: list[tuple[Scene, OldText]], kind: str) -> list[tuple[Scene, str]]:
    return [(scene, old.text) for scene, old in drawn if old.kind == kind]


def test_the_same_seed_gives_the_same_texts() -> None:
    assert draw(5, 300) == draw(5, 300)
    assert draw(5, 300) != draw(6, 300)


def test_every_kind_occurs_and_none_rules(drawn: list[tuple[Scene, OldText]]) -> None:
    counts = Counter(old.kind for _, old in drawn)
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 0.02 * len(drawn)
    assert max(counts.values()) <= 0.25 * len(drawn)


def test_only_the_empty_kind_is_empty(drawn: list[tuple[Scene, OldText]]) -> None:
    assert {old.kind for _, old in drawn if not old.text.strip()} == {"empty"}


def test_a_wrong_caption_is_fluent_and_false(drawn: list[tuple[Scene, OldText]]) -> None:
    pairs = of_kind(drawn, "wrong_caption")
    assert all(text.endswith(".") and parse(text).things for _, text in pairs)
    assert score(pairs).colour.precision.value < 0.1


@pytest.mark.parametrize("kind", ["shop_title", "part_caption"])
def test_a_poor_text_says_at_most_a_little_that_is_true(drawn: list[tuple[Scene, OldText]], kind: str) -> None:
    for scene, text in of_kind(drawn, kind):
        said = {thing.noun for thing in parse(text).things}
        assert said <= {thing.noun for thing in scene.things}
        assert len(said) <= 1


def test_a_half_sentence_is_no_whole_caption(drawn: list[tuple[Scene, OldText]]) -> None:
    assert all(not text.endswith(". ") and len(text) < 90 for _, text in of_kind(drawn, "half_sentence"))
    assert all(text != dense(scene) for scene, text in of_kind(drawn, "half_sentence"))


def test_file_names_look_like_file_names(drawn: list[tuple[Scene, OldText]]) -> None:
    assert all("." in text[-5:] for _, text in of_kind(drawn, "file_name"))


def test_markup_has_no_unfilled_place(drawn: list[tuple[Scene, OldText]]) -> None:
    texts = [text for _, text in of_kind(drawn, "markup")]
    assert not [text for text in texts if "{number}" in text or "{noun}" in text]
    assert any("{{ product.title }}" in text for text in texts)


def test_old_text_tells_far_less_than_captions_do(drawn: list[tuple[Scene, OldText]]) -> None:
    scores = score((scene, old.text) for scene, old in drawn)
    assert 0.05 < scores.noun.recall.value < 0.25
    assert scores.noun.precision.value < 0.6
    assert scores.exact.value == 0
