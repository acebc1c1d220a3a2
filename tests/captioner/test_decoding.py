"""Rows that have ended leave the batch, and no caption changes by it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from captioner.decoding import FEWEST, decode
from captioner.demo.score import draw
from captioner.source import SHIPPED
from core.spec import DEMO_MODEL, PIXART_PROMPT

END = 1
ROWS = 3 * FEWEST


@pytest.fixture(scope="module")
def shipped() -> tuple[Any, dict[str, torch.Tensor]]:
    """The LLaVA that ships, and its inputs for scenes whose captions are of many lengths."""
    folder = SHIPPED[DEMO_MODEL]
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    pictures = [picture for _, picture in draw(ROWS, 5)]
    prompt = f"USER: <image>\n{PIXART_PROMPT} ASSISTANT:"
    inputs = AutoProcessor.from_pretrained(folder)(
        images=pictures, text=[prompt] * ROWS, padding=True, return_tensors="pt"
    )
    return model, dict(inputs)


class Counting:
    """The model, noting how many rows each call of `generate` had."""

    def __init__(self, model: Any) -> None:
        self.config, self._model = model.config, model
        self.rows: list[int] = []

    def generate(self, **given: Any) -> torch.Tensor:
        self.rows.append(len(given["input_ids"]))
        return self._model.generate(**given)


def plain(model: Any, inputs: dict[str, torch.Tensor], new_tokens: int) -> list[list[int]]:
    output = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)
    return [upto_end(row) for row in output[:, inputs["input_ids"].shape[1] :].tolist()]


def upto_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(END)] if END in tokens else tokens


@pytest.mark.parametrize("new_tokens", [300, 14])
def test_captions_are_those_of_plain_generate(shipped, new_tokens):
    model, inputs = shipped
    with torch.inference_mode():
        counting = Counting(model)
        ours = decode(counting, inputs, [], max_new_tokens=new_tokens, end_ids={END})
        assert [upto_end(tokens) for tokens, _ in ours] == plain(model, inputs, new_tokens)
    assert len({len(upto_end(tokens)) for tokens, _ in ours}) > 2
    assert all(len(tokens) <= new_tokens for tokens, _ in ours)
    if new_tokens == 300:
        assert counting.rows[0] == ROWS
        assert all(2 * after <= before for before, after in zip(counting.rows, counting.rows[1:], strict=False))
        assert len(counting.rows) > 1


def test_nobody_leaves_where_rows_are_told_apart_by_their_place(shipped):
    model, inputs = shipped
    counting = Counting(model)
    with torch.inference_mode():
        decode(counting, inputs, [lambda ids, scores: scores], max_new_tokens=20, end_ids={END})
    assert counting.rows == [ROWS]


def test_a_row_that_loops_is_ended_and_leaves_with_what_it_said(shipped):
    model, inputs = shipped
    rows = FEWEST

    class Looping:
        """Says one word for ever in the first rows; the others end at once."""

        config = model.config

        def generate(self, **given: Any) -> torch.Tensor:
            ids = given["input_ids"]
            begins = ids[:, -1] != 7
            looping = (torch.arange(len(ids)) % 2 == 0) | ~begins
            for _ in range(given["max_new_tokens"]):
                new = torch.where(looping, 7, END)
                ids = torch.cat([ids, new[:, None]], dim=1)
                votes = [criterion(ids, None) for criterion in given["stopping_criteria"]]
                if torch.stack(votes).any(0).all() or torch.stack(votes)[0].logical_or(new == END).all():
                    break
            return ids

    some = {"input_ids": inputs["input_ids"][:rows], "attention_mask": inputs["attention_mask"][:rows]}
    found = decode(Looping(), some, [], max_new_tokens=100, end_ids={END})
    for row, (tokens, stopped) in enumerate(found):
        if row % 2:
            assert upto_end(tokens) == []
            assert stopped is None
        else:
            assert stopped == len(tokens) < 100
            assert set(tokens) == {7}
