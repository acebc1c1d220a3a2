"""The engine that runs LLaVA's own transformers classes in this process, on one device.

A call's pictures go through three places at once: the caller's thread pulls requests, `decode_threads` threads turn
them into tensors, and one thread (the only one that touches the model) generates. Leaves out where models come from
(source.py, loading.py) and how large batches are (memory.py).
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from captioner import memory
from captioner.accelerator import is_fatal, is_out_of_memory
from captioner.chat import Chat
from captioner.engine import CaptionRequest, Completion, FinishReason
from captioner.preparing import Batch, Prepared, Preparer, first_line, grey_batch
from captioner.sampling import processors
from core.errors import EngineConfigError, EngineError
from core.logs import get_logger
from core.settings import Settings
from core.spec import CaptionSpec, Generation

log = get_logger(__name__)

#: Batches without trouble after which a batch size that was halved for lack of memory doubles again.
CALM_BATCHES = 64
#: Room that probing leaves for prompts longer than the default one, tokens.
SPARE_PROMPT_TOKENS = 256


class _OutOfMemoryError(Exception):
    """The accelerator had no room for a batch. Carries nothing: a traceback would keep the batch's tensors alive."""


class TransformersEngine:
    """See captioner.engine.Engine. `model` and `processor` are loaded and on their device (captioner.loading)."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        chat: Chat,
        identity: str,
        *,
        batch_size: int = 0,
        decode_threads: int = 2,
        max_new_tokens: int = 300,
    ) -> None:
        self.identity = identity
        self.model = model
        self.processor = processor
        self._end_ids = _take_over_generation(model, processor.tokenizer)
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._preparer = Preparer(processor, chat, context, copies=decode_threads)
        self._preparing = ThreadPoolExecutor(decode_threads, thread_name_prefix="prepare")
        self._generating = ThreadPoolExecutor(1, thread_name_prefix="generate")
        self._ahead = decode_threads + 1
        self._fatal: str | None = None
        try:
            self._try_out()
            self.batch_size = batch_size or self._probe(max_new_tokens)
        except BaseException:
            self.close()
            raise
        self._largest = self.batch_size
        self._calm = 0

    @classmethod
    def load(cls, spec: CaptionSpec, settings: Settings) -> TransformersEngine:
        """Finds and loads the model of `spec`. Raises EngineConfigError and its kin."""
        from captioner.loading import load_model

        loaded = load_model(spec, settings)
        return cls(
            loaded.model,
            loaded.processor,
            loaded.chat,
            loaded.identity,
            batch_size=settings.batch_size,
            decode_threads=settings.decode_threads,
            max_new_tokens=spec.generation.max_new_tokens,
        )

    # ---- the caller's thread ----------------------------------------------------------------------------------------

    def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
        """See Engine.caption."""
        waiting: deque[Future[list[Completion]]] = deque()
        try:
            for batch in self._batches(requests, generation):
                prepared = self._preparing.submit(self._preparer.prepare, batch)
                waiting.append(self._generating.submit(self._caption_batch, prepared))
                while waiting and (waiting[0].done() or len(waiting) > self._ahead):
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Ends the threads; what is under way is finished first."""
        self._generating.shutdown(wait=True, cancel_futures=True)
        self._preparing.shutdown(wait=True, cancel_futures=True)

    def _batches(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Batch]:
        """Batches in order; a request with sampling of its own stands alone."""
        together: list[CaptionRequest] = []
        for request in requests:
            alone = request.sampling is not None or request.limit_repeats
            if alone and together:
                yield Batch(tuple(together), generation)
                together = []
            if alone:
                yield Batch((request,), request.sampling or generation, request.limit_repeats)
                continue
            together.append(request)
            if len(together) == self.batch_size:
                yield Batch(tuple(together), generation)
                together = []
        if together:
            yield Batch(tuple(together), generation)

    # ---- the generating thread --------------------------------------------------------------------------------------

    def _caption_batch(self, future: Future[Prepared]) -> list[Completion]:
        if self._fatal is not None:
            raise EngineError(self._fatal, fatal=True)
        prepared = future.result()
        found = dict(prepared.refused)
        spans = deque([(0, len(prepared.rows))] if prepared.rows else [])
        while spans:
            start, stop = spans.popleft()
            middle = start + self._largest
            if middle < stop:
                spans.appendleft((middle, stop))
                stop = middle
            try:
                found.update(self._generate(prepared, start, stop))
                self._grow_back(stop - start)
            except _OutOfMemoryError:
                place = prepared.rows[start]
                if stop - start == 1:
                    found[place] = _no_memory(prepared.batch.requests[place].key)
                else:
                    spans.appendleft((start, stop))
                self._largest = max(1, (stop - start) // 2)
                self._calm = 0
                log.warning("out of memory", pictures=stop - start, next_batch=self._largest)
        return [found[place] for place in range(len(prepared.batch.requests))]

    def _grow_back(self, pictures: int) -> None:
        """One huge picture must not slow the process down for ever: after some calm, batches double again."""
        if pictures < self._largest or self._largest == self.batch_size:
            return
        self._calm += 1
        if self._calm >= CALM_BATCHES:
            self._largest = min(self.batch_size, 2 * self._largest)
            self._calm = 0

    def _generate(self, prepared: Prepared, start: int, stop: int) -> dict[int, Completion]:
        """Rows `start` to `stop`, captioned. Raises _OutOfMemoryError, EngineError."""
        import torch

        try:
            with torch.inference_mode():
                return self._decode(prepared, start, stop)
        except Exception as error:
            if not is_out_of_memory(error):
                raise self._failure(error) from error
        # Outside the except clause the traceback is gone, and with it the batch's tensors.
        gc.collect()
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        raise _OutOfMemoryError

    def _failure(self, error: Exception) -> EngineError:
        if not is_fatal(error):
            return EngineError(f"The model failed on a batch: {first_line(error)}")
        self._fatal = f"The accelerator failed and needs a new process: {first_line(error)}"
        return EngineError(self._fatal, fatal=True)

    def _decode(self, prepared: Prepared, start: int, stop: int) -> dict[int, Completion]:
        from captioner.decoding import decode

        batch, places = prepared.batch, prepared.rows[start:stop]
        inputs = {name: self._to_device(value[start:stop]) for name, value in prepared.tensors.items()}
        prompt_tokens = inputs["input_ids"].shape[1]
        seeds = [batch.requests[place].seed for place in places]
        asked = processors(batch.generation, seeds, batch.limit_repeats, prompt_tokens, inputs["input_ids"].device)
        decoded = decode(
            self.model, inputs, asked, max_new_tokens=batch.generation.max_new_tokens, end_ids=self._end_ids
        )
        return {
            place: self._completion(batch.requests[place].key, tokens, stopped)
            for place, (tokens, stopped) in zip(places, decoded, strict=True)
        }

    def _completion(self, key: str, tokens: list[int], stopped: int | None) -> Completion:
        reason: FinishReason = "length"
        length = len(tokens)
        if stopped is not None:
            reason, length = "watchdog", stopped
        else:
            end = next((at for at, token in enumerate(tokens) if token in self._end_ids), None)
            if end is not None:
                reason, length = "stop", end
        text = self.processor.tokenizer.decode(
            tokens[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Completion(key, text.strip(), length, reason)

    def _to_device(self, value: Any) -> Any:
        return (
            value.to(self.model.device, self.model.dtype) if value.is_floating_point() else value.to(self.model.device)
        )

    # ---- at the start -----------------------------------------------------------------------------------------------

    def _try_out(self) -> None:
        """Captions a grey picture by one token: a processor that does not fit the model shows here, not in a night."""
        try:
            prepared = self._preparer.prepare(grey_batch(1, (64, 48), Generation(max_new_tokens=1)))
            if prepared.refused:
                reject = next(iter(prepared.refused.values())).error
                raise EngineConfigError(f"The model refuses a plain picture: {reject.sentence if reject else ''}")
            self._generate(prepared, 0, 1)
        except _OutOfMemoryError:
            raise EngineConfigError(
                "One picture does not fit into the accelerator's memory beside the model.",
                hint="Use a smaller model, `quantization`, or a larger accelerator.",
            ) from None
        except EngineError as error:
            if error.details.get("fatal"):
                raise
            raise EngineConfigError(f"The model cannot caption a plain picture: {error.sentence}") from error

    def _probe(self, max_new_tokens: int) -> int:
        if self.model.device.type != "cuda":
            return memory.cpu_batch(self.model.num_parameters())
        numbers = self.model.dtype.itemsize
        per_token = memory.cache_bytes_per_token(self.model.config.get_text_config(), numbers)
        pinpoints = getattr(self.processor.image_processor, "image_grid_pinpoints", None) or [[512, 512]]
        height, width = max(pinpoints, key=lambda grid: grid[0] * grid[1])

        def run(pictures: int) -> None:
            prepared = self._preparer.prepare(grey_batch(pictures, (width, height), Generation(max_new_tokens=2)))
            self._generate(prepared, 0, len(prepared.rows))

        try:
            device = self.model.device
            extra = (max_new_tokens + SPARE_PROMPT_TOKENS) * per_token
            size = memory.probe(memory.cuda_peak(run, device), extra, lambda: memory.cuda_free(device))
        except _OutOfMemoryError:
            size = 1
        log.info("batch size probed", pictures=size)
        return size


def _take_over_generation(model: Any, tokenizer: Any) -> frozenset[int]:
    """Replaces the checkpoint's generation settings by plain greedy decoding and returns its end-of-text tokens.

    Temperatures and penalties that came with the checkpoint would otherwise change captions behind the spec's back.
    """
    from transformers import GenerationConfig

    old = model.generation_config
    own = old.eos_token_id if isinstance(old.eos_token_id, list) else [old.eos_token_id]
    ends = frozenset(int(token) for token in (*own, tokenizer.eos_token_id) if token is not None)
    if not ends:
        raise EngineConfigError("Neither the model nor its tokenizer names an end-of-text token.")
    model.generation_config = GenerationConfig(
        do_sample=False,
        num_beams=1,
        use_cache=True,
        bos_token_id=old.bos_token_id,
        eos_token_id=sorted(ends),
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=old.suppress_tokens,
    )
    return ends


def _no_memory(key: str) -> Completion:
    sentence = f"The image of '{key}' alone does not fit into the accelerator's memory."
    return Completion.rejected(key, "out_of_memory", sentence)
