"""The engine that asks an OpenAI-compatible endpoint (vLLM, SGLang, `transformers serve`) for captions.

Pictures travel as lossless PNG inside the request. Requests run side by side in one event loop of the engine's own;
faults that pass are tried again, one picture's refusal is that picture's reject, an endpoint that is down is an error.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from captioner import retries
from captioner.engine import CaptionRequest, Completion, FinishReason
from core.errors import EngineConfigError, EngineError, EngineOutError
from core.logs import get_logger, mask_url
from core.settings import Settings
from core.spec import CaptionSpec, Generation

if TYPE_CHECKING:
    import httpx
    from PIL import Image

log = get_logger(__name__)

#: Answers that are one request's fault: bad content, too large, of the wrong kind, not to be processed.
REFUSED = frozenset({400, 413, 415, 422})
#: Weight of `limit_repeats` in the API's own scale (-2 to 2).
FREQUENCY_PENALTY = 0.5
#: Level of PNG's compression: pixels are the same at each, and 1 is the quickest.
PNG_LEVEL = 1
CONNECT_S = 10.0


class OpenAIEngine:
    """See captioner.engine.Engine."""

    def __init__(
        self,
        model: str,
        endpoint: str,
        key: str = "",
        *,
        concurrency: int = 16,
        timeout_s: float = 120.0,
        tries: int = 6,
        encode_threads: int = 2,
    ) -> None:
        self.identity = f"openai:{model}"
        self.model = model
        self.endpoint = endpoint.rstrip("/")
        self._key = key
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._tries = tries
        self._encoding = ThreadPoolExecutor(encode_threads, thread_name_prefix="png")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()
        self._client, self._turns = self._await(self._open())

    @classmethod
    def load(cls, spec: CaptionSpec, settings: Settings) -> OpenAIEngine:
        """Opens the endpoint of `settings`. Raises EngineConfigError, and EngineError where it does not answer."""
        if not settings.endpoint:
            raise EngineConfigError(
                "The engine `openai` has no endpoint.", hint="Set DENSIFY_ENDPOINT, e.g. http://127.0.0.1:8000/v1."
            )
        if not settings.endpoint.startswith(("http://", "https://")):
            raise EngineConfigError(f"DENSIFY_ENDPOINT ({mask_url(settings.endpoint)}) is no http or https URL.")
        if not spec.model:
            raise EngineConfigError("The engine `openai` has no model.", hint="Set DENSIFY_MODEL to its name there.")
        if spec.quantization:
            raise EngineConfigError("`quantization` is the endpoint's own matter.", hint="Leave it out of the spec.")
        engine = cls(
            spec.model,
            settings.endpoint,
            settings.endpoint_key,
            concurrency=settings.endpoint_concurrency,
            timeout_s=settings.endpoint_timeout_s,
            tries=settings.endpoint_retries + 1,
            encode_threads=settings.decode_threads,
        )
        try:
            engine.check()
        except BaseException:
            engine.close()
            raise
        return engine

    def check(self) -> None:
        """Asks for the list of models. A model that is not on it is only logged: some servers load on demand.

        Raises EngineConfigError where the key is refused, EngineError where nothing answers.
        """
        # Whatever the status, something answers: `transformers serve` says 500 here where it has no hub cache.
        answer = self._await(self._send("GET", "/models", any_status=True))
        if answer.status_code in (401, 403):
            raise EngineConfigError(
                f"The endpoint {self._name} refuses the key: {self._message(answer)}", hint="Set DENSIFY_ENDPOINT_KEY."
            )
        try:
            known = [entry["id"] for entry in answer.json()["data"]] if answer.status_code == 200 else []
        except (ValueError, KeyError, TypeError):
            known = []
        if known and self.model not in known:
            log.warning("model not listed by the endpoint", model=self.model, listed=known[:10])

    def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
        """See Engine.caption."""
        waiting: deque[Future[Completion]] = deque()
        try:
            for request in requests:
                asked = self._ask(request, request.sampling or generation)
                waiting.append(asyncio.run_coroutine_threadsafe(asked, self._loop))
                while waiting and (waiting[0].done() or len(waiting) >= 2 * self._concurrency):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Closes connections and threads."""
        if self._loop.is_closed():
            return
        self._await(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._encoding.shutdown(wait=True, cancel_futures=True)

    # ---- in the event loop ------------------------------------------------------------------------------------------

    async def _open(self) -> tuple[httpx.AsyncClient, asyncio.Semaphore]:
        import httpx

        host = httpx.URL(self.endpoint).host
        client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s), pool=None),
            limits=httpx.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency),
            # A proxy of the environment is for the world outside, not for this machine.
            trust_env=host not in ("127.0.0.1", "localhost", "::1"),
        )
        return client, asyncio.Semaphore(self._concurrency)

    async def _ask(self, request: CaptionRequest, generation: Generation) -> Completion:
        async with self._turns:
            image = await self._loop.run_in_executor(self._encoding, png_url, request.image)
            body = json.dumps(self._body(request, generation, image)).encode()
            answer = await self._send("POST", "/chat/completions", body)
        if answer.status_code in REFUSED:
            sentence = f"The endpoint refused '{request.key}' ({answer.status_code}): {self._message(answer)}"
            return Completion.rejected(request.key, "engine_refused", sentence)
        if answer.status_code != 200:
            raise EngineOutError(
                f"The endpoint {self._name} answered {answer.status_code}: {self._message(answer)}",
                hint="Check DENSIFY_ENDPOINT (with its /v1), DENSIFY_ENDPOINT_KEY and DENSIFY_MODEL.",
            )
        return self._completion(request.key, answer)

    def _body(self, request: CaptionRequest, generation: Generation, image: str) -> dict[str, Any]:
        content = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": request.prompt}]
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": generation.max_new_tokens,
            "temperature": generation.temperature if generation.do_sample else 0.0,
            "stream": False,
        }
        if generation.do_sample:
            # Servers keep seeds in 32 or 64 bits, signed or not: 31 fit all.
            body |= {"top_p": generation.top_p, "seed": request.seed & 0x7FFFFFFF}
        if request.limit_repeats:
            body["frequency_penalty"] = FREQUENCY_PENALTY
        return body

    async def _send(
        self, method: str, path: str, body: bytes | None = None, *, any_status: bool = False
    ) -> httpx.Response:
        """One request, tried again while its faults may pass. Raises EngineError or EngineOutError when they do not."""
        import httpx

        fault = ""
        failed: type[EngineError] = EngineOutError
        for attempt in range(self._tries):
            wait_s: float | None = None
            try:
                async with asyncio.timeout(self._timeout_s):  # httpx limits each read, not the whole answer
                    answer = await self._client.request(
                        method, self.endpoint + path, content=body, headers={"Content-Type": "application/json"}
                    )
                if any_status or not retries.may_pass(answer.status_code):
                    return answer
                fault = f"it answered {answer.status_code}: {self._message(answer)}"
                # A server error may be this picture's doing; being too busy or away is nobody's.
                failed = EngineError if answer.status_code == 500 else EngineOutError
                wait_s = retries.retry_after_s(answer.headers.get("Retry-After"))
            except TimeoutError:
                fault, failed = f"no answer within {self._timeout_s:g} seconds", EngineError
            except httpx.TransportError as error:
                fault, failed = str(error) or type(error).__name__, EngineOutError
            if attempt + 1 < self._tries:
                await asyncio.sleep(retries.delay_s(attempt) if wait_s is None else wait_s)
        raise failed(
            f"The endpoint {self._name} failed {self._tries} times; last: {fault}",
            hint="Check that it runs and that DENSIFY_ENDPOINT is right (with its /v1).",
        )

    def _completion(self, key: str, answer: httpx.Response) -> Completion:
        try:
            document = answer.json()
            choice = document["choices"][0]
            text = choice["message"].get("content") or ""
            tokens = int((document.get("usage") or {}).get("completion_tokens") or len(text.split()))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise EngineOutError(
                f"The endpoint {self._name} answered something else than a chat completion."
            ) from error
        if choice.get("finish_reason") == "content_filter":
            return Completion.rejected(key, "engine_refused", f"The endpoint's content filter stopped '{key}'.")
        reason: FinishReason = "length" if choice.get("finish_reason") == "length" else "stop"
        return Completion(key, str(text).strip(), tokens, reason)

    # ---- small things -----------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return mask_url(self.endpoint)

    def _message(self, answer: httpx.Response) -> str:
        """The server's own words, cut short, the key masked."""
        try:
            document = answer.json()
            found = document.get("error", document.get("detail", document))
            text = str(found.get("message", found) if isinstance(found, dict) else found)
        except (ValueError, AttributeError):
            text = answer.text
        text = " ".join(text.split())[:300]
        return text.replace(self._key, "***") if self._key else text

    def _await(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def png_url(image: Image.Image) -> str:
    """A picture as a `data:` URL of a PNG: the same pixels at the other end."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=PNG_LEVEL)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
