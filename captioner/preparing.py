"""From requests to tensors: chat text, preprocessing, left padding; a picture that cannot be prepared is set aside.

Serves transformers_engine.py, from several threads at once. Leaves out the model.
"""

from __future__ import annotations

import copy
import queue
from dataclasses import dataclass
from typing import Any

from PIL import Image

from captioner.chat import Chat
from captioner.engine import CaptionRequest, Completion
from core.spec import PIXART_PROMPT, Generation


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that run together, with the generation parameters of all of them."""

    requests: tuple[CaptionRequest, ...]
    generation: Generation
    limit_repeats: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """Tensors of a batch, each with one row for each of `rows`.

    `rows`: the place in the batch of each row; `refused`: the reject of each place without one.
    """

    batch: Batch
    rows: tuple[int, ...]
    tensors: dict[str, Any]
    refused: dict[int, Completion]


class Preparer:
    """Prepares batches with `copies` copies of one processor. `context`: most tokens that the model holds, or None."""

    def __init__(self, processor: Any, chat: Chat, context: int | None, copies: int) -> None:
        self._chat = chat
        self._context = context
        # A tokenizer must not be used by two threads at once: each borrows a copy.
        self._spare: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(copies):
            self._spare.put(copy.deepcopy(processor))

    def prepare(self, batch: Batch) -> Prepared:
        """The batch as tensors. Never raises for one picture's fault: that picture is among `refused`."""
        processor = self._spare.get()
        try:
            return self._prepare(batch, processor)
        finally:
            self._spare.put(processor)

    def _prepare(self, batch: Batch, processor: Any) -> Prepared:
        texts = [self._chat(request.prompt) for request in batch.requests]
        refused: dict[int, Completion] = {}
        try:
            tensors = self._tensors(processor, batch, texts, refused)
        except Exception:  # one picture's fault must not be its neighbours': each is tried alone
            refused = self._refusals(processor, batch, texts)
            tensors = self._tensors(processor, batch, texts, refused)
        too_long = self._too_long(batch, refused, tensors)
        if too_long:
            refused |= too_long
            tensors = self._tensors(processor, batch, texts, refused)
        return Prepared(batch, tuple(_left(batch, refused)), tensors, refused)

    def _tensors(
        self, processor: Any, batch: Batch, texts: list[str], refused: dict[int, Completion]
    ) -> dict[str, Any]:
        places = _left(batch, refused)
        return self._process(processor, batch, texts, places) if places else {}

    def _process(self, processor: Any, batch: Batch, texts: list[str], places: list[int]) -> dict[str, Any]:
        found = processor(
            images=[batch.requests[place].image for place in places],
            text=[texts[place] for place in places],
            padding=True,
            add_special_tokens=self._chat.adds_special_tokens,
            return_tensors="pt",
        )
        return dict(found)

    def _refusals(self, processor: Any, batch: Batch, texts: list[str]) -> dict[int, Completion]:
        refused = {}
        for place, request in enumerate(batch.requests):
            try:
                self._process(processor, batch, texts, [place])
            except Exception as error:
                sentence = f"The model's preprocessing refuses the image of '{request.key}': {first_line(error)}"
                refused[place] = Completion.rejected(request.key, "engine_refused", sentence)
        return refused

    def _too_long(self, batch: Batch, refused: dict[int, Completion], tensors: dict[str, Any]) -> dict[int, Completion]:
        places = _left(batch, refused)
        if self._context is None or not places:
            return {}
        found = {}
        new = batch.generation.max_new_tokens
        for place, tokens in zip(places, tensors["attention_mask"].sum(dim=1).tolist(), strict=True):
            if tokens + new > self._context:
                key = batch.requests[place].key
                sentence = (
                    f"Image and prompt of '{key}' take {tokens} tokens: with {new} new ones that is more than the "
                    f"model's {self._context}."
                )
                found[place] = Completion.rejected(key, "engine_refused", sentence)
        return found


def _left(batch: Batch, refused: dict[int, Completion]) -> list[int]:
    """Places of the batch that are not refused."""
    return [place for place in range(len(batch.requests)) if place not in refused]


def grey_batch(pictures: int, size: tuple[int, int], generation: Generation) -> Batch:
    """Plain grey pictures of `size` (width, height in pixels), to try a model out."""
    image = Image.new("RGB", size, (128, 128, 128))
    return Batch(tuple(CaptionRequest(str(n), image, PIXART_PROMPT) for n in range(pictures)), generation)


def first_line(error: BaseException) -> str:
    """An error's first line, 300 characters at most; its class where it says nothing."""
    return str(error).strip().split("\n", 1)[0][:300] or type(error).__name__
