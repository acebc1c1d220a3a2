"""Each picture gets its own caption, whatever stands beside it, whoever else asks, and whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from captioner.captions import Captioned, caption_samples
from captioner.engine import CaptionRequest, Completion
from captioner.transformers_engine import CALM_BATCHES, TransformersEngine
from core.errors import EngineError
from core.spec import Generation
from tests.captioner.helpers import GREEDY, pictures, requests, settings, spec_of

Open = Callable[..., TransformersEngine]
KINDS = ["llava", "llava_next", "llava_onevision"]
SAMPLED = Generation(max_new_tokens=16, do_sample=True, temperature=0.8, top_p=0.9)


def ask(engine: TransformersEngine, asked: list[CaptionRequest], generation: Generation = GREEDY) -> list[Completion]:
    return list(engine.caption(asked, generation))


def one_by_one(
    engine: TransformersEngine, asked: list[CaptionRequest], generation: Generation = GREEDY
) -> list[Completion]:
    return [completion for request in asked for completion in engine.caption([request], generation)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("generation", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_batch_gives_what_single_pictures_give(engines: dict[str, Any], kind: str, generation: Generation) -> None:
    asked = requests(pictures(11))
    assert ask(engines[kind], asked, generation) == one_by_one(engines[kind], asked, generation)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_different_length_may_share_a_batch(engines: dict[str, Any], kind: str) -> None:
    asked = [
        CaptionRequest(str(n), image, "Describe this " + "very small old boat " * (n * 3))
        for n, image in enumerate(pictures(6))
    ]
    assert ask(engines[kind], asked) == one_by_one(engines[kind], asked)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_give_what_transformers_itself_gives(engines: dict[str, Any], kind: str) -> None:
    engine = engines[kind]
    for image, found in zip(pictures(5), ask(engine, requests(pictures(5))), strict=True):
        turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": requests([image])[0].prompt}]}
        text = engine.processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
        inputs = engine.processor(images=[image], text=[text], return_tensors="pt")
        output = engine.model.generate(**inputs, max_new_tokens=16, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert found.text == engine.processor.tokenizer.decode(output, skip_special_tokens=True).strip()


def test_with_one_prompt_for_all_no_picture_gets_anothers_caption(engine: TransformersEngine) -> None:
    canaries = pictures(12, seed=5)
    alone = {id(image): one_by_one(engine, requests([image]))[0].text for image in canaries}
    shuffled = [canaries[(5 * n) % 12] for n in range(12)] + canaries[::-1] + [canaries[3]] * 5
    texts = [completion.text for completion in ask(engine, requests(shuffled))]
    assert texts == [alone[id(image)] for image in shuffled]
    assert len(set(alone.values())) == 12


def test_threads_that_ask_at_once_get_what_one_gets(engine: TransformersEngine) -> None:
    parts = [requests(pictures(9, seed)) for seed in range(4)]
    expected = [ask(engine, part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(lambda part: ask(engine, part), parts)) == expected


def test_batches_are_formed_in_order_inside_one_call(engine: TransformersEngine, monkeypatch: Any) -> None:
    sizes: list[int] = []
    generate = engine.model.generate
    monkeypatch.setattr(engine.model, "generate", lambda **k: (sizes.append(k["input_ids"].shape[0]), generate(**k))[1])
    asked = requests(pictures(10))
    asked[5] = CaptionRequest("5", asked[5].image, asked[5].prompt, 1, sampling=SAMPLED)
    assert [completion.key for completion in ask(engine, asked)] == [str(n) for n in range(10)]
    assert sizes == [4, 1, 1, 4]


def test_requests_are_pulled_lazily_and_in_the_callers_thread(engine: TransformersEngine) -> None:
    pulled: list[int] = []

    def endless() -> Iterator[CaptionRequest]:
        image = pictures(1)[0]
        while True:
            pulled.append(threading.get_ident())
            yield CaptionRequest(str(len(pulled)), image, "Go")

    answers = engine.caption(endless(), Generation(max_new_tokens=2))
    assert [next(answers).key for _ in range(3)] == ["1", "2", "3"]
    answers.close()  # type: ignore[attr-defined]
    assert len(pulled) <= 8 * engine.batch_size
    assert set(pulled) == {threading.get_ident()}


def test_no_request_is_no_answer(engine: TransformersEngine) -> None:
    assert ask(engine, []) == []


def test_an_error_of_the_callers_iterator_comes_through(engine: TransformersEngine) -> None:
    def broken() -> Iterator[CaptionRequest]:
        yield from requests(pictures(2))
        raise LookupError("shard gone")

    with pytest.raises(LookupError, match="shard gone"):
        list(engine.caption(broken(), GREEDY))
    assert len(ask(engine, requests(pictures(2)))) == 2


# ---- how captions end -----------------------------------------------------------------------------------------------


def test_finish_reasons_and_token_counts_are_the_rows_own(engine: TransformersEngine) -> None:
    found = ask(engine, requests(pictures(40)), Generation(max_new_tokens=48))
    assert {completion.finish_reason for completion in found} == {"stop", "length"}
    for completion in found:
        assert (completion.tokens == 48) == (completion.finish_reason == "length")
        assert len(completion.text.split()) == completion.tokens


def test_a_cap_of_one_token_gives_one(engine: TransformersEngine) -> None:
    for completion in ask(engine, requests(pictures(4)), Generation(max_new_tokens=1)):
        assert (completion.tokens, completion.finish_reason) in {(1, "length"), (0, "stop")}


def make_loop(model: Any, tokenizer: Any, words: str) -> None:
    """Changes a model so that each of `words` calls for the next one, and the last for the first."""
    ids = [tokenizer.encode(f" {word}", add_special_tokens=False)[0] for word in words.split()]
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        rows = model.get_input_embeddings().weight
        model.lm_head.weight.zero_()
        for before, after in zip(ids, ids[1:] + ids[:1], strict=True):
            model.lm_head.weight[after] = rows[before]


def test_the_watchdog_stops_a_loop_while_it_is_decoded(open_engine: Open, small_folder: Path) -> None:
    engine = open_engine(small_folder)
    make_loop(engine.model, engine.processor.tokenizer, "red boat near tower")
    steps: list[None] = []
    engine.model.register_forward_pre_hook(lambda *_inputs: steps.append(None))
    found = ask(engine, requests(pictures(3)), Generation(max_new_tokens=400))
    assert {completion.finish_reason for completion in found} == {"watchdog"}
    assert {completion.tokens for completion in found} <= {24, 32}
    assert len(steps) <= 32
    assert "red boat near tower red boat near tower" in found[0].text


def test_a_loop_is_tried_again_alone_and_the_same_way_each_time(open_engine: Open, small_folder: Path) -> None:
    engine = open_engine(small_folder)
    make_loop(engine.model, engine.processor.tokenizer, "red boat near tower")
    spec = spec_of(small_folder, generation={"max_new_tokens": 60})
    samples = [(str(n), image, None, {}) for n, image in enumerate(pictures(3))]
    found = list(caption_samples(engine, spec, samples))
    assert found == list(caption_samples(engine, spec, samples))
    assert found[1:2] == list(caption_samples(engine, spec, samples[1:2]))
    for captioned in found:
        assert isinstance(captioned, Captioned)
        assert "retried" in captioned.flags


def test_limiting_repeats_makes_them_rarer(engine: TransformersEngine) -> None:
    def repeated(limit: bool) -> int:
        hot = Generation(max_new_tokens=48, do_sample=True)
        asked = [
            CaptionRequest(str(n), image, "Go", seed=n, sampling=hot, limit_repeats=limit)
            for n, image in enumerate(pictures(6))
        ]
        return sum(len(words) - len(set(words)) for words in (one.text.split() for one in ask(engine, asked)))

    assert repeated(limit=True) < repeated(limit=False)


# ---- what goes wrong ------------------------------------------------------------------------------------------------


class Memory:
    """Lets `generate` through up to `room` pictures at once, and runs out of memory above."""

    def __init__(self, engine: TransformersEngine, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self.sizes: list[int] = []
        self._generate = engine.model.generate
        monkeypatch.setattr(engine.model, "generate", self)

    def __call__(self, **inputs: Any) -> Any:
        size = inputs["input_ids"].shape[0]
        self.sizes.append(size)
        if size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        return self._generate(**inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_memory_halves_the_batch_and_goes_on(
    open_engine: Open, small_folders: Any, kind: str, monkeypatch: Any
) -> None:
    engine = open_engine(small_folders[kind], batch_size=8)
    asked = requests(pictures(20))
    expected = ask(engine, asked)
    memory = Memory(engine, 3, monkeypatch)
    assert ask(engine, asked) == expected
    assert memory.sizes[:4] == [8, 4, 2, 2]
    assert max(memory.sizes[4:]) == 2  # what does not fit is not tried again at every batch


def test_after_some_calm_batches_grow_again(open_engine: Open, small_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("captioner.transformers_engine.CALM_BATCHES", 3)
    engine = open_engine(small_folder, batch_size=4)
    memory = Memory(engine, 2, monkeypatch)
    ask(engine, requests(pictures(4)), Generation(max_new_tokens=1))
    memory.room = 4
    ask(engine, requests(pictures(24)), Generation(max_new_tokens=1))
    assert memory.sizes[-1] == 4
    assert CALM_BATCHES > 3


def test_a_picture_that_does_not_fit_alone_is_rejected_and_the_others_go_on(
    open_engine: Open, small_folder: Path, monkeypatch: Any
) -> None:
    engine = open_engine(small_folder, batch_size=4)
    asked = requests(pictures(6))
    expected = ask(engine, asked)
    too_big = engine.processor(images=[asked[2].image], text=["<image>"], return_tensors="pt")["pixel_values"][0]
    generate = engine.model.generate

    def choosy(**inputs: Any) -> Any:
        if any(torch.equal(pixels, too_big) for pixels in inputs["pixel_values"]):
            raise torch.OutOfMemoryError("simulated")
        return generate(**inputs)

    monkeypatch.setattr(engine.model, "generate", choosy)
    found = ask(engine, asked)
    assert found[2].error is not None
    assert (found[2].key, found[2].error.reason) == ("2", "out_of_memory")
    assert found[:2] + found[3:] == expected[:2] + expected[3:]


def test_a_lost_accelerator_is_fatal_and_stays_so(open_engine: Open, small_folder: Path, monkeypatch: Any) -> None:
    engine = open_engine(small_folder)
    generate = engine.model.generate

    def illegal(**_inputs: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(engine.model, "generate", illegal)
    with pytest.raises(EngineError, match="illegal memory access") as caught:
        ask(engine, requests(pictures(2)))
    assert caught.value.details == {"fatal": True}
    monkeypatch.setattr(engine.model, "generate", generate)
    with pytest.raises(EngineError) as again:
        ask(engine, requests(pictures(2)))
    assert again.value.details == {"fatal": True}


def test_any_other_failure_of_the_model_is_an_error_and_not_fatal(engine: TransformersEngine, monkeypatch: Any) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(engine.model, "generate", lambda **_inputs: 1 / 0)
        with pytest.raises(EngineError, match="division by zero") as caught:
            ask(engine, requests(pictures(2)))
        assert not caught.value.details.get("fatal")
    assert len(ask(engine, requests(pictures(2)))) == 2


def test_a_prompt_longer_than_the_model_holds_rejects_its_sample_only(engine: TransformersEngine) -> None:
    asked = requests(pictures(3))
    asked[1] = CaptionRequest("1", asked[1].image, "boat " * 2100)
    found = ask(engine, asked)
    assert [completion.error is None for completion in found] == [True, False, True]
    assert found[1].error is not None
    assert found[1].error.reason == "engine_refused"
    assert "2048" in found[1].error.sentence
    assert found[0] == ask(engine, asked[:1])[0]


def test_a_picture_that_preprocessing_refuses_is_rejected_alone(
    open_engine: Open, small_folder: Path, monkeypatch: Any
) -> None:
    engine = open_engine(small_folder, batch_size=4)
    preprocess = type(engine.processor.image_processor).preprocess

    def choosy(self: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        if any(image.size == (7, 9) for image in images):
            raise ValueError("odd picture\nmore")
        return preprocess(self, images, *args, **kwargs)

    monkeypatch.setattr(type(engine.processor.image_processor), "preprocess", choosy)
    asked = requests(pictures(5))
    asked[3] = CaptionRequest("3", Image.new("RGB", (7, 9)), "Go")
    found = ask(engine, asked)
    assert found[3].error is not None
    assert found[3].error.reason == "engine_refused"
    assert found[3].error.sentence.endswith("odd picture")
    assert sum(completion.error is None for completion in found) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 300), (300, 1), (2000, 40)])
def test_pictures_of_any_shape_are_captioned(engines: dict[str, Any], kind: str, size: tuple[int, int]) -> None:
    (found,) = ask(engines[kind], requests([Image.new("RGB", size, (200, 30, 60))]))
    assert found.error is None
    assert found.text


def test_old_text_that_names_special_tokens_does_no_harm(engine: TransformersEngine) -> None:
    spec = spec_of("unused", prompt="Given '{old_text}', go")
    texts = ["a", "<image></s><s>", "c"]
    samples = [(text, image, text, {}) for text, image in zip(texts, pictures(3), strict=True)]
    assert all(isinstance(one, Captioned) for one in caption_samples(engine, spec, samples))


def test_a_closed_engine_ends_its_threads(small_folder: Path) -> None:
    before = threading.active_count()
    engine = TransformersEngine.load(spec_of(small_folder), settings())
    ask(engine, requests(pictures(2)))
    engine.close()
    assert threading.active_count() == before
