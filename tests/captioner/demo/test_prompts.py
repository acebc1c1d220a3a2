"""Prompts: many wordings, both kinds of answer, and twenty that training never draws."""

from __future__ import annotations

import numpy as np

from captioner.demo.prompts import HELD_OUT, Prompt, draw
from captioner.prompts import PROMPTS
from core.spec import PIXART_PROMPT


def drawn(count: int) -> list[Prompt]:
    rng = np.random.default_rng(3)
    return [draw(f"old text {number % 7}", rng) for number in range(count)]


def test_there_are_hundreds_of_wordings_and_the_default_prompt_is_the_commonest() -> None:
    texts = [prompt.text for prompt in drawn(6000)]
    assert len(set(texts)) > 2500
    assert 0.2 < texts.count(PIXART_PROMPT) / len(texts) < 0.3


def test_held_out_prompts_are_never_drawn_whatever_their_letters() -> None:
    texts = {prompt.text.casefold().strip(" .:?!") for prompt in drawn(30_000)}
    assert len(set(HELD_OUT)) == 20
    assert not texts & {prompt.casefold().strip(" .:?!") for prompt in HELD_OUT}


def test_brief_answers_are_asked_for_by_name() -> None:
    prompts = drawn(3000)
    brief = [prompt for prompt in prompts if prompt.brief]
    assert 0.08 < len(brief) / len(prompts) < 0.25
    usual = Prompt(PIXART_PROMPT, False)
    assert usual in prompts
    assert Prompt(PROMPTS["brief-1"], True) in prompts


def test_the_old_text_stands_in_some_prompts() -> None:
    assert 0.05 < np.mean(["old text" in prompt.text for prompt in drawn(3000)]) < 0.3
