"""Every sample comes out once, in order, captioned or rejected; a loop is asked for a second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from PIL import Image

from captioner.captions import Captioned, caption_samples, draw_seed
from captioner.engine import CaptionRequest, Completion
from captioner.transformers_engine import TransformersEngine
from core.errors import BadPromptError
from core.reasons import Reject
from core.spec import CaptionSpec, Generation
from tests.captioner.helpers import pictures, spec_of

LOOP = "a cat " * 12


class Parrot:
    """An engine that says the prompt's words in capitals; `loops` and `refuses` are keys. Keeps what it was asked."""

    identity = "parrot"

    def __init__(
        self, loops: Iterable[str] = (), loops_always: Iterable[str] = (), refuses: Iterable[str] = ()
    ) -> None:
        self.loops, self.loops_always, self.refuses = set(loops), set(loops_always), set(refuses)
        self.asked: list[CaptionRequest] = []

    def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            again = request.sampling is not None
            if request.key in self.refuses:
                yield Completion.rejected(request.key, "engine_refused", "no")
            elif request.key in self.loops_always or (request.key in self.loops and not again):
                yield Completion(request.key, LOOP, 24, "watchdog")
            else:
                yield Completion(request.key, f"saw {request.prompt}", 3, "stop")

    def close(self) -> None: ...


def samples(*rows: tuple[str, str | None, dict[str, Any]]) -> list[tuple[str, Image.Image, str | None, dict[str, Any]]]:
    return [(key, pictures(1, seed)[0], text, fields) for seed, (key, text, fields) in enumerate(rows)]


def test_captions_and_rejects_come_in_the_samples_order() -> None:
    spec = CaptionSpec(model="m", prompt="{title}")
    rows = samples(
        ("a", None, {}), ("b", None, {"title": "x"}), ("c", None, {}), ("d", None, {"title": "y"}), ("e", None, {})
    )
    found = list(caption_samples(Parrot(), spec, rows))
    assert [(one.key, type(one)) for one in found] == [
        ("a", Reject), ("b", Captioned), ("c", Reject), ("d", Captioned), ("e", Reject)
    ]  # fmt: skip
    assert found[1] == Captioned("b", "saw x", "stop", 3, ())


def test_samples_that_are_all_rejected_come_through() -> None:
    spec = CaptionSpec(model="m", prompt="{old_text}")
    found = list(caption_samples(Parrot(), spec, samples(("a", None, {}), ("b", " ", {}))))
    assert [one.reason for one in found if isinstance(one, Reject)] == ["missing_field"] * 2


def test_a_prompt_may_be_a_name() -> None:
    parrot = Parrot()
    list(caption_samples(parrot, CaptionSpec(model="m", prompt="brief-1"), samples(("a", None, {}))))
    assert parrot.asked[0].prompt.startswith("Describe this image in one sentence")


def test_a_bad_prompt_is_refused_before_the_first_sample() -> None:
    def never() -> Iterator[Any]:
        raise AssertionError("pulled")
        yield

    with pytest.raises(BadPromptError):
        caption_samples(Parrot(), CaptionSpec(model="m", prompt="{"), never())


def test_the_engines_reject_is_the_samples_reject() -> None:
    found = list(caption_samples(Parrot(refuses="a"), CaptionSpec(model="m"), samples(("a", None, {}))))
    assert found == [Reject("a", "engine_refused", "no")]


def test_a_loop_is_asked_for_once_more_with_other_sampling() -> None:
    parrot = Parrot(loops="b")
    spec = CaptionSpec(model="m", prompt="go")
    found = list(caption_samples(parrot, spec, samples(("a", None, {}), ("b", None, {}), ("c", None, {}))))
    assert [one.flags for one in found if isinstance(one, Captioned)] == [(), ("retried",), ()]
    first, second = (request for request in parrot.asked if request.key == "b")
    assert (first.sampling, first.limit_repeats) == (None, False)
    assert second.sampling is not None
    assert second.sampling.do_sample
    assert second.limit_repeats
    assert second.sampling.max_new_tokens == spec.generation.max_new_tokens


def test_a_second_loop_keeps_its_flag() -> None:
    (found,) = caption_samples(Parrot(loops_always="a"), CaptionSpec(model="m"), samples(("a", None, {})))
    assert isinstance(found, Captioned)
    assert (found.flags, found.finish_reason) == (("loop", "retried"), "watchdog")


def test_a_second_try_that_fails_leaves_the_first_caption() -> None:
    class FailsOnRetry(Parrot):
        def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
            for request in requests:
                self.refuses = {request.key} if request.sampling else set()
                yield from super().caption([request], generation)

    (found,) = caption_samples(FailsOnRetry(loops="a"), CaptionSpec(model="m"), samples(("a", None, {})))
    assert isinstance(found, Captioned)
    assert found.flags == ("loop",)


def test_the_seed_of_a_draw_is_the_pictures_and_not_the_keys() -> None:
    one, other = pictures(2)
    assert draw_seed(0, one) == draw_seed(0, one.copy())
    assert len({draw_seed(0, one), draw_seed(1, one), draw_seed(0, other)}) == 3
    assert 0 <= draw_seed(0, one) < 2**63


def test_pixels_of_another_shape_are_another_picture() -> None:
    assert draw_seed(0, Image.new("RGB", (4, 2))) != draw_seed(0, Image.new("RGB", (2, 4)))


def test_stripping_is_done_where_the_spec_asks() -> None:
    class Stock(Parrot):
        def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
            for request in requests:
                yield Completion(request.key, "The image features a boat.", 6, "stop")

    for strip, text, flag in ((False, "The image features a boat.", "boilerplate"), (True, "A boat.", "stripped")):
        (found,) = caption_samples(Stock(), CaptionSpec(model="m", strip_opening=strip), samples(("a", None, {})))
        assert isinstance(found, Captioned)
        assert (found.text, found.flags) == (text, (flag,))


def test_samples_go_through_the_real_engine(engine: TransformersEngine) -> None:
    spec = spec_of("unused", prompt="pixart-old-caption-1")
    rows = samples(("a", "old boat", {}), ("b", None, {}), ("c", "new boat", {}))
    found = list(caption_samples(engine, spec, rows))
    assert [type(one) for one in found] == [Captioned, Reject, Captioned]
    assert found == list(caption_samples(engine, spec, rows))
