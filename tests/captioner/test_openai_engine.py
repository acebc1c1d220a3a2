"""The endpoint's passing faults pass, one picture's refusal is its own, and an endpoint that is down is an error."""

from __future__ import annotations

import base64
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image, ImageChops

from captioner.captions import Captioned, caption_samples
from captioner.engine import CaptionRequest, Completion, Engine, load_engine
from captioner.openai_engine import OpenAIEngine
from core.errors import EngineConfigError, EngineError
from core.spec import Generation
from tests.captioner.helpers import GREEDY, pictures, requests, settings, spec_of

KEY = "sk-very-secret"
Answer = tuple[int, dict[str, str], Any]


def answered(text: str | None, finish_reason: str = "stop", tokens: int | None = 3) -> Answer:
    usage = {} if tokens is None else {"usage": {"completion_tokens": tokens}}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return 200, {}, {"choices": [choice], **usage}


class Endpoint:
    """A server on loopback. `script` maps a prompt to the answers that it gets in turn; the last one stays."""

    def __init__(self) -> None:
        self.script: dict[str, list[Answer]] = {}
        self.models: Answer = (200, {}, {"data": [{"id": "m"}]})
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.wait_s: dict[str, float] = {}
        self.now, self.most, self._lock = 0, 0, threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, body: dict[str, Any]) -> Answer:
        prompt = next(part["text"] for part in body["messages"][0]["content"] if part["type"] == "text")
        with self._lock:
            self.asked.append(body)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.wait_s.get(prompt, 0.0))
        with self._lock:
            self.now -= 1
            turns = self.script.get(prompt, [answered(f"saw {prompt}")])
            return turns.pop(0) if len(turns) > 1 else turns[0]

    def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                endpoint.headers.append(dict(self.headers))
                self.reply(*endpoint.models)

            def do_POST(self) -> None:
                endpoint.headers.append(dict(self.headers))
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(*endpoint.answer(body))

            def reply(self, status: int, headers: dict[str, str], document: Any) -> None:
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(data)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # a client that timed out

            def log_message(self, *_args: Any) -> None: ...

        return Handler

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    yield server
    server.close()


@pytest.fixture
def connect(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., OpenAIEngine]]:
    """Opens engines on the endpoint; waits between tries are a hundredth of what they are."""
    monkeypatch.setattr("captioner.retries.FIRST_S", 0.005)
    opened: list[OpenAIEngine] = []

    def open_one(model: str = "m", **more: object) -> OpenAIEngine:
        chosen = {"endpoint": endpoint.url, "endpoint_key": KEY, "endpoint_retries": 3, **more}
        engine = OpenAIEngine.load(spec_of(model, engine="openai"), settings(**chosen))
        opened.append(engine)
        return engine

    yield open_one
    for engine in opened:
        engine.close()


Connect = Callable[..., OpenAIEngine]


def ask(engine: Engine, *prompts: str, generation: Generation = GREEDY) -> list[Completion]:
    images = pictures(len(prompts))
    asked = [CaptionRequest(prompt, image, prompt) for prompt, image in zip(prompts, images, strict=True)]
    return list(engine.caption(asked, generation))


# ---- what is sent ---------------------------------------------------------------------------------------------------


def test_a_request_carries_the_very_pixels_and_asks_for_greedy_decoding(endpoint: Endpoint, connect: Connect) -> None:
    image = pictures(1)[0]
    list(connect().caption(requests([image], "Go"), GREEDY))
    body = endpoint.asked[0]
    assert {name: body[name] for name in ("model", "max_tokens", "temperature", "stream")} == {
        "model": "m", "max_tokens": 16, "temperature": 0.0, "stream": False
    }  # fmt: skip
    assert not {"seed", "top_p", "frequency_penalty"} & body.keys()
    head, data = body["messages"][0]["content"][0]["image_url"]["url"].split(",", 1)
    assert head == "data:image/png;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert sent.mode == "RGB"
    assert ImageChops.difference(sent, image).getbbox() is None
    assert endpoint.headers[-1]["Authorization"] == f"Bearer {KEY}"


def test_sampling_sends_temperature_mass_and_seed(endpoint: Endpoint, connect: Connect) -> None:
    sampled = Generation(max_new_tokens=5, do_sample=True, temperature=0.7, top_p=0.9)
    request = CaptionRequest("k", pictures(1)[0], "Go", seed=2**62 + 7, sampling=sampled, limit_repeats=True)
    list(connect().caption([request], GREEDY))
    body = endpoint.asked[0]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 5)
    assert body["seed"] == 7
    assert body["frequency_penalty"] > 0


def test_many_requests_run_side_by_side_and_come_back_in_order(endpoint: Endpoint, connect: Connect) -> None:
    prompts = [f"p{n}" for n in range(30)]
    endpoint.wait_s = {prompt: 0.02 + 0.05 * (n % 3 == 0) for n, prompt in enumerate(prompts)}
    found = ask(connect(endpoint_concurrency=4), *prompts)
    assert [completion.text for completion in found] == [f"saw {prompt}" for prompt in prompts]
    assert endpoint.most == 4


def test_requests_are_pulled_lazily(endpoint: Endpoint, connect: Connect) -> None:
    pulled: list[str] = []

    def endless() -> Iterator[CaptionRequest]:
        while True:
            pulled.append("x")
            yield CaptionRequest(str(len(pulled)), pictures(1)[0], "Go")

    answers = connect(endpoint_concurrency=2).caption(endless(), GREEDY)
    assert next(answers).key == "1"
    answers.close()  # type: ignore[attr-defined]
    assert len(pulled) <= 5


# ---- what comes back ------------------------------------------------------------------------------------------------


def test_finish_reasons_and_tokens_are_the_endpoints(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.script = {
        "a": [answered(" a boat \n")],
        "b": [answered("cut", "length", 16)],
        "c": [answered("two words", tokens=None)],
        "d": [answered(None)],
    }
    found = ask(connect(), "a", "b", "c", "d")
    assert [(c.text, c.finish_reason, c.tokens) for c in found] == [
        ("a boat", "stop", 3), ("cut", "length", 16), ("two words", "stop", 2), ("", "stop", 3)
    ]  # fmt: skip


def test_passing_faults_are_tried_again(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.script = {"a": [(500, {}, b"oops"), (503, {}, {}), answered("a boat")]}
    assert ask(connect(), "a")[0].text == "a boat"
    assert len(endpoint.asked) == 3


def test_retry_after_is_waited_for(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.script = {"a": [(429, {"Retry-After": "0.4"}, {}), answered("a boat")]}
    engine = connect()
    start = time.monotonic()
    assert ask(engine, "a")[0].text == "a boat"
    assert time.monotonic() - start >= 0.4


def test_an_answer_that_takes_too_long_is_asked_for_again(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.wait_s = {"a": 0.6}
    engine = connect(endpoint_timeout_s=0.2, endpoint_retries=1)
    with pytest.raises(EngineError, match=r"failed 2 times; last: no answer within 0\.2 seconds"):
        ask(engine, "a")
    endpoint.wait_s = {}
    assert ask(engine, "a")[0].text == "saw a"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_pictures_refusal_is_its_own_reject(endpoint: Endpoint, connect: Connect, status: int) -> None:
    endpoint.script = {"b": [(status, {}, {"error": {"message": "image too odd"}})]}
    found = ask(connect(), "a", "b", "c")
    assert [completion.error is None for completion in found] == [True, False, True]
    assert found[1].error is not None
    assert found[1].error.reason == "engine_refused"
    assert "image too odd" in found[1].error.sentence
    assert len(endpoint.asked) == 3


def test_a_content_filter_is_a_reject(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.script = {"a": [answered("", "content_filter")]}
    error = ask(connect(), "a")[0].error
    assert error is not None
    assert error.reason == "engine_refused"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, {}, {"detail": f"bad key {KEY}"}), r"answered 401: bad key \*\*\*"),
        ((404, {}, {"error": "no model m"}), "answered 404: no model m"),
        ((200, {}, b"<html>"), "something else than a chat completion"),
        ((200, {}, {"choices": []}), "something else than a chat completion"),
        ((500, {}, {}), "failed 4 times"),
    ],
)
def test_an_endpoint_that_does_not_work_is_an_error_and_no_reject(
    endpoint: Endpoint, connect: Connect, answer: Answer, words: str
) -> None:
    endpoint.script = {"b": [answer]}
    engine = connect()
    with pytest.raises(EngineError, match=words) as caught:
        ask(engine, "a", "b", "c")
    assert KEY not in str(caught.value)
    assert not caught.value.details.get("fatal")
    assert ask(engine, "c")[0].text == "saw c"


def test_an_endpoint_that_goes_down_is_an_error(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.models = (200, {"Connection": "close"}, {})
    engine = connect(endpoint_retries=1)
    endpoint.close()
    with pytest.raises(EngineError, match="failed 2 times"):
        ask(engine, "a")


def test_several_threads_share_one_engine(endpoint: Endpoint, connect: Connect) -> None:
    engine = connect()
    found: dict[int, list[str]] = {}

    def run(number: int) -> None:
        found[number] = [one.text for one in ask(engine, *(f"{number}-{n}" for n in range(8)))]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"saw {number}-{n}" for n in range(8)] for number in range(4)}


def test_a_loop_is_asked_for_again_with_sampling(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.script = {"Go": [answered("a cat " * 20), answered("a dog")]}
    samples = [("k", pictures(1)[0], None, {})]
    (found,) = caption_samples(connect(), spec_of("m", engine="openai", prompt="Go"), samples)
    assert isinstance(found, Captioned)
    assert (found.text, found.flags) == ("a dog", ("retried",))
    assert endpoint.asked[1]["temperature"] == 0.7


# ---- at the start ---------------------------------------------------------------------------------------------------


def test_the_identity_is_the_models_name(connect: Connect) -> None:
    assert connect().identity == "openai:m"
    assert isinstance(connect(), Engine)


def test_a_model_that_is_not_listed_may_still_be_served(endpoint: Endpoint, connect: Connect) -> None:
    assert connect("other").identity == "openai:other"
    for without_a_list in ((404, {}, b""), (500, {}, b"oops"), (200, {}, b"<html>"), (200, {}, {"data": [1]})):
        endpoint.models = without_a_list
        assert connect("m").identity == "openai:m"


def test_a_refused_key_is_told_at_the_start(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.models = (401, {}, {"error": {"message": f"unknown key {KEY}"}})
    with pytest.raises(EngineConfigError, match="refuses the key") as caught:
        connect()
    assert KEY not in caught.value.sentence


def test_an_endpoint_that_is_not_there_is_told_at_the_start(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(EngineError, match="failed 2 times"):
        connect(endpoint=url, endpoint_retries=1)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"endpoint": ""}, "has no endpoint"), ({"endpoint": "127.0.0.1:8000"}, "no http or https URL")],
)
def test_an_endpoint_that_cannot_be_one_is_refused(more: dict[str, str], words: str) -> None:
    with pytest.raises(EngineConfigError, match=words):
        load_engine(spec_of("m", engine="openai"), settings(**more))


def test_quantization_is_the_endpoints_matter() -> None:
    with pytest.raises(EngineConfigError, match="endpoint's own matter"):
        load_engine(spec_of("m", engine="openai", quantization="4bit"), settings(endpoint="http://127.0.0.1:1/v1"))


def test_the_key_is_in_no_log(endpoint: Endpoint, connect: Connect, caplog: Any, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.script = {"a": [(500, {}, {"error": KEY}), answered("x")]}
    ask(connect("other"), "a")
    said = capfd.readouterr()
    assert KEY not in caplog.text + said.out + said.err


def test_closing_ends_the_threads(connect: Connect) -> None:
    before = threading.active_count()
    engine = connect()
    ask(engine, "a")
    engine.close()
    engine.close()
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith(("endpoint", "png"))} == set()
    assert before >= 1
