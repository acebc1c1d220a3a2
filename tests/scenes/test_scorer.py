from __future__ import annotations

import json

import numpy as np
import pytest

from scenes.captions import brief, dense
from scenes.graph import Relation, Scene, Thing, sample_scene
from scenes.scorer import FACTS, SHARES, Figure, Scores, score

BOAT = Thing("boat", "red", "large", "plain", "top left")
CUP = Thing("cup", "blue", "small", "plain", "centre")
KEY = Thing("key", "green", "small", "plain", "centre")
SCENE = Scene("snow", "flat", (BOAT, CUP, KEY), (Relation(2, "on", 1),))
RIGHT = dense(SCENE)


def changed(old: str, new: str) -> str:
    assert old in RIGHT
    return RIGHT.replace(old, new)


def figures(scores: Scores) -> list[Figure]:
    facts = [getattr(getattr(scores, name), part) for name in FACTS for part in ("precision", "recall", "f1")]
    return facts + [getattr(scores, name) for name in SHARES]


def counts(scores: Scores) -> dict[str, tuple[int, int, int]]:
    """Fact -> (right, said, there)."""
    facts = {name: getattr(scores, name) for name in FACTS}
    return {name: (fact.right, fact.said, fact.there) for name, fact in facts.items()}


PERFECT = {"noun": (3, 3, 3), "colour": (3, 3, 3), "position": (3, 3, 3), "relation": (1, 1, 1), "count": (3, 3, 3)}


def damaged(scenes: list[Scene]) -> list[tuple[Scene, str]]:
    """Every third caption calls red things blue."""
    return [(s, dense(s).replace(" red ", " blue ") if i % 3 == 0 else dense(s)) for i, s in enumerate(scenes)]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(51)
    return [sample_scene(rng) for _ in range(1600)]


def test_perfect_captions_score_one_everywhere(scenes: list[Scene]) -> None:
    scores = score((scene, dense(scene)) for scene in scenes)
    assert scores.scenes == len(scenes)
    assert figures(scores) == [Figure(1, 1, 1)] * len(figures(scores))


def test_a_wrong_colour_costs_one_colour_and_nothing_else() -> None:
    scores = score([(SCENE, changed("red boat", "white boat"))])
    assert counts(scores) == PERFECT | {"colour": (2, 3, 3)}
    assert scores.colour.f1.value == pytest.approx(2 / 3)
    assert scores.exact.value == 0
    assert scores.background.value == scores.style.value == 1


def test_a_missing_thing_costs_recall_only() -> None:
    scores = score([(SCENE, changed("A large red boat is in the top left corner. ", ""))])
    assert counts(scores) == PERFECT | dict.fromkeys(("noun", "colour", "position", "count"), (2, 2, 3))
    assert scores.noun.precision.value == 1
    assert scores.noun.recall.value == pytest.approx(2 / 3)
    assert scores.noun.f1.value == pytest.approx(0.8)


def test_an_invented_thing_costs_precision_only() -> None:
    scores = score([(SCENE, changed("corner. ", "corner. A large pink dog is on the left. "))])
    assert counts(scores) == PERFECT | dict.fromkeys(("noun", "colour", "position", "count"), (3, 4, 3))
    assert scores.noun.precision.value == pytest.approx(3 / 4)
    assert scores.noun.recall.value == 1


def test_a_wrong_place_costs_one_position() -> None:
    assert counts(score([(SCENE, changed("top left", "top right"))])) == PERFECT | {"position": (2, 3, 3)}


def test_a_wrong_relation_costs_that_relation() -> None:
    assert counts(score([(SCENE, changed("on top of it", "under it"))])) == PERFECT | {"relation": (0, 1, 1)}


def test_a_wrong_number_costs_one_count() -> None:
    stars = tuple(Thing("star", "red", "small", "plain", zone) for zone in ("top", "left", "right"))
    text = "There are two small red stars: one at the top and one on the left."
    scores = score([(Scene("sea", "flat", stars), text)])
    facts = {"noun": (2, 2, 3), "colour": (2, 2, 3), "position": (2, 2, 3), "relation": (0, 0, 0), "count": (0, 1, 1)}
    assert counts(scores) == facts


def test_a_wrong_background_or_style_is_seen() -> None:
    wrong = dense(Scene("sea", "dusk", SCENE.things, SCENE.relations))
    scores = score([(SCENE, wrong), (SCENE, RIGHT)])
    assert (scores.background.value, scores.style.value, scores.exact.value) == (0.5, 0.5, 0.5)
    assert counts(scores)["noun"] == (6, 6, 6)


def test_saying_nothing_scores_nothing() -> None:
    scores = score([(SCENE, "")])
    assert {figure.value for figure in figures(scores)} == {0}


def test_nothing_to_say_and_nothing_said_is_right() -> None:
    alone = Scene("sea", "flat", (BOAT,))
    assert score([(alone, dense(alone))]).relation.f1.value == 1
    invented = score([(alone, "A cup is on top of a boat.")]).relation
    assert (invented.precision.value, invented.recall.value, invented.f1.value) == (0, 0, 0)


def test_brief_captions_are_right_in_what_they_say(scenes: list[Scene]) -> None:
    scores = score((scene, brief(scene)) for scene in scenes)
    assert [scores.noun.f1.value, scores.colour.f1.value, scores.count.f1.value, scores.background.value] == [1] * 4
    assert scores.position.said == scores.relation.said == 0


@pytest.mark.parametrize("number", [1, 2, 5, 40, 1600])
def test_intervals_contain_their_value(scenes: list[Scene], number: int) -> None:
    for figure in figures(score(damaged(scenes[:number]))):
        assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_intervals_shrink_with_more_scenes(scenes: list[Scene]) -> None:
    widths = []
    for number in (100, 400, 1600):
        figure = score(damaged(scenes[:number])).colour.f1
        widths.append(figure.high - figure.low)
    assert widths[0] > widths[1] > widths[2] > 0
    assert widths[2] == pytest.approx(widths[0] / 4, rel=0.5)


def test_the_interval_of_a_share_is_the_binomial_one() -> None:
    pairs = [(SCENE, RIGHT if i % 4 else "wrong") for i in range(400)]
    exact = score(pairs).exact
    half = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert exact.value == 0.75
    assert exact.low == pytest.approx(0.75 - half, abs=0.01)
    assert exact.high == pytest.approx(0.75 + half, abs=0.01)


def test_the_same_seed_gives_the_same_scores(scenes: list[Scene]) -> None:
    pairs = damaged(scenes[:200])
    assert score(pairs, seed=4) == score(pairs, seed=4)
    other = score(pairs, seed=5)
    assert [f.value for f in figures(other)] == [f.value for f in figures(score(pairs, seed=4))]


def test_scores_go_into_json_and_into_a_table(scenes: list[Scene]) -> None:
    scores = score(damaged(scenes[:50]))
    value = json.loads(json.dumps(scores.to_dict()))
    assert value["scenes"] == 50
    assert value["colour"]["f1"]["value"] == scores.colour.f1.value
    assert set(value) == {"scenes", *FACTS, *SHARES}
    lines = scores.table().splitlines()
    assert [line.split()[0] for line in lines[2:]] == [*FACTS, "share", *SHARES]
    assert f"{scores.colour.f1.value:.3f} [" in lines[3]


def test_no_caption_is_refused() -> None:
    with pytest.raises(ValueError):
        score([])
