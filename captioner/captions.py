"""From samples to checked captions: render the prompt, caption, check, try once more where a caption looped.

Serves the workers and `densify caption`. Leaves out reading shards and writing results.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from captioner.checks import Checked, check_caption
from captioner.engine import CaptionRequest, Completion, Engine, FinishReason
from captioner.prompts import Template, resolve
from core.reasons import Reject
from core.spec import CaptionSpec, Generation

#: (key, picture in RGB, old text or None, fields of the sample's .json)
Sample = tuple[str, Image.Image, str | None, Mapping[str, Any]]

RETRY_TEMPERATURE = 0.7
RETRY_TOP_P = 0.95


@dataclass(frozen=True, slots=True)
class Captioned:
    """A caption that stays in the shard, with its doubts: `flags` are names of core.reasons.FLAGS, sorted."""

    key: str
    text: str
    finish_reason: FinishReason
    tokens: int
    flags: tuple[str, ...]


def caption_samples(engine: Engine, spec: CaptionSpec, samples: Iterable[Sample]) -> Iterator[Captioned | Reject]:
    """Yields, for every sample and in order, its caption or the reason why it has none.

    A caption that loops is asked for a second time, alone and with other sampling; the second is taken and carries
    the flag `retried`, and `loop` as well if it loops again. Raises BadPromptError before the first sample, and what
    the engine raises.
    """
    template = Template.parse(resolve(spec.prompt))
    return _caption_samples(engine, spec, template, samples)


def _caption_samples(
    engine: Engine, spec: CaptionSpec, template: Template, samples: Iterable[Sample]
) -> Iterator[Captioned | Reject]:
    waiting: deque[CaptionRequest | Reject] = deque()

    def requests() -> Iterator[CaptionRequest]:
        for key, image, old_text, fields in samples:
            prompt = template.render(key, old_text, fields, spec.field_defaults)
            if isinstance(prompt, Reject):
                waiting.append(prompt)
                continue
            seed = draw_seed(spec.generation.seed, image) if spec.generation.do_sample else 0
            request = CaptionRequest(key, image, prompt, seed)
            waiting.append(request)
            yield request

    for completion in engine.caption(requests(), spec.generation):
        while isinstance(request := waiting.popleft(), Reject):
            yield request
        assert request.key == completion.key, "an engine answers in order"
        yield _finish(engine, spec, template, request, completion)
    while waiting:
        rest = waiting.popleft()
        assert isinstance(rest, Reject), "an engine answers every request"
        yield rest


def _finish(
    engine: Engine, spec: CaptionSpec, template: Template, request: CaptionRequest, completion: Completion
) -> Captioned | Reject:
    if completion.error is not None:
        return completion.error
    checked = _check(spec, template, completion)
    retried: tuple[str, ...] = ()
    if "loop" in checked.flags:
        second = _second_try(engine, spec.generation, request)
        # A second try that fails leaves the first caption, with its flag: a doubtful caption is better than none.
        if second is not None and second.error is None:
            completion, checked, retried = second, _check(spec, template, second), ("retried",)
    flags = tuple(sorted({*checked.flags, *retried}))
    return Captioned(request.key, checked.text, completion.finish_reason, completion.tokens, flags)


def _check(spec: CaptionSpec, template: Template, completion: Completion) -> Checked:
    return check_caption(completion.text, completion.finish_reason, template.literals, spec.strip_opening)


def _second_try(engine: Engine, generation: Generation, request: CaptionRequest) -> Completion | None:
    sampling = generation.model_copy(update={"do_sample": True, "temperature": RETRY_TEMPERATURE, "top_p": RETRY_TOP_P})
    seed = draw_seed(generation.seed + 1, request.image)
    again = replace(request, sampling=sampling, seed=seed, limit_repeats=True)
    return next(iter(engine.caption([again], generation)), None)


def draw_seed(seed: int, image: Image.Image) -> int:
    """The seed of one picture's draw, below 2**63: from the spec's seed and the SHA-256 of size and pixels.

    The key takes no part: the same picture gets the same caption wherever it lies.
    """
    digest = hashlib.sha256(f"{seed}:{image.mode}:{image.width}x{image.height}:".encode())
    digest.update(image.tobytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 1
