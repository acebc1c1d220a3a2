"""The judgement of a model: what is right counts, what is wrong does not, and all of it is printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from captioner.demo import score
from captioner.demo.prompts import HELD_OUT
from captioner.demo.questions import NO, YES
from captioner.engine import CaptionRequest, Completion
from core.spec import PIXART_PROMPT, Generation
from scenes.captions import dense

SCENES = 24


class Oracle:
    """An engine that knows the scenes and describes them; asked yes or no, it always says `answer`."""

    identity = "oracle"

    def __init__(self, answer: str = YES, lie_alone: bool = False) -> None:
        self.answer, self.lie_alone = answer, lie_alone
        self.scenes = [scene for scene, _ in score.draw(SCENES, score.SEED)]

    def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
        del generation
        for request in requests:
            asked = request.prompt not in (PIXART_PROMPT, *HELD_OUT)
            text = self.answer if asked else dense(self.scenes[int(request.key)])
            if self.lie_alone and int(request.key) % 2:
                text = "A dog."
            yield Completion(request.key, text, 1, "stop")

    def close(self) -> None:
        """Nothing to free."""


def judge_with(engine: Oracle, monkeypatch: pytest.MonkeyPatch) -> score.Judgement:
    @contextmanager
    def opened(model: str, *, batch: int = 32, dtype: str = "float32") -> Iterator[Oracle]:
        del model, dtype
        engine.lie_alone = batch == 1
        yield engine

    monkeypatch.setattr(score, "opened", opened)
    return score.judge("any", SCENES, SCENES)


def test_true_captions_are_perfect_and_a_model_that_always_says_yes_is_half_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judgement = judge_with(Oracle(), monkeypatch)
    assert judgement.default.exact.value == judgement.held_out.noun.f1.value == 1.0
    assert set(judgement.by_prompt.values()) == {1.0}
    assert judgement.answers.of_yes == 1.0
    assert judgement.answers.of_no == 0.0
    assert 0.2 < judgement.answers.accuracy < 0.8
    assert (judgement.single, judgement.half) == (0.5, 1.0)
    assert judge_with(Oracle(NO), monkeypatch).answers.of_no == 1.0


def test_the_judgement_is_told_whole_in_words_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    judgement = judge_with(Oracle(), monkeypatch)
    told = score.tell(judgement)
    for words in ("Default prompt", "20 prompts that training never saw", "Yes/no questions", "in float16 and float32"):
        assert words in told
    plain = json.loads(json.dumps(judgement.to_dict()))
    assert plain["default"]["noun"]["f1"]["value"] == 1.0
    assert plain["answers"]["asked"] == SCENES


def test_scenes_and_pictures_are_those_of_the_seed() -> None:
    first, again = list(score.draw(3, 5)), list(score.draw(3, 5))
    assert [scene for scene, _ in first] == [scene for scene, _ in again]
    assert all(96 <= min(picture.size) <= max(picture.size) <= 512 for _, picture in first)
    assert [scene for scene, _ in score.draw(3, 6)] != [scene for scene, _ in first]
