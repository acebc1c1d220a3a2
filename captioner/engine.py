"""What an engine is: pictures and prompts in, captions out, in order; and the one door by which engines are opened.

Leaves out how models run (transformers_engine.py, openai_engine.py) and what is asked of them (prompts.py,
captions.py). Importing this module loads neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from PIL import Image

from core.errors import EngineConfigError
from core.reasons import Reject
from core.settings import Settings
from core.spec import CaptionSpec, Generation

FinishReason = Literal["stop", "length", "watchdog"]


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """One picture and its prompt.

    `image` is RGB, of any size. `seed` decides the draw where tokens are sampled; greedy decoding ignores it.
    `sampling` replaces the call's generation parameters for this request, which then runs alone.
    `limit_repeats` makes tokens that the caption already holds less likely (for the second try after a loop).
    """

    key: str
    image: Image.Image
    prompt: str
    seed: int = 0
    sampling: Generation | None = None
    limit_repeats: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for one request: text and token count (end-of-text not counted), or `error` and no text."""

    key: str
    text: str
    tokens: int
    finish_reason: FinishReason
    error: Reject | None = None

    @classmethod
    def rejected(cls, key: str, reason: str, sentence: str) -> Completion:
        """A completion that carries a reject."""
        return cls(key, "", 0, "stop", Reject(key, reason, sentence))


@runtime_checkable
class Engine(Protocol):
    """Captions pictures. One engine serves several threads of a process at once."""

    @property
    def identity(self) -> str:
        """Which weights answer: `transformers:sha256:<hash>`, `transformers:<hub id>@<commit>`, `openai:<model>`."""

    def caption(self, requests: Iterable[CaptionRequest], generation: Generation) -> Iterator[Completion]:
        """Yields one completion per request, in order; pulls requests lazily, in the calling thread.

        Batches are formed inside one call only, so a call's results do not depend on what else runs. Raises
        EngineError where the engine itself failed; with `details["fatal"]` true the process must end.
        """

    def close(self) -> None:
        """Frees threads and memory. The engine is not used afterwards."""


def load_engine(spec: CaptionSpec, settings: Settings) -> Engine:
    """Opens the engine that `spec` names. Raises EngineConfigError (or one of its kin) when it cannot start."""
    if spec.engine == "transformers":
        from captioner.transformers_engine import TransformersEngine

        return TransformersEngine.load(spec, settings)
    if spec.engine == "openai":
        from captioner.openai_engine import OpenAIEngine

        return OpenAIEngine.load(spec, settings)
    raise EngineConfigError(f"There is no engine '{spec.engine}'.", hint="Engines are `transformers` and `openai`.")
