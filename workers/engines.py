"""The one engine of a process: loaded when first asked for, shared by its threads, exchanged when the model changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from captioner.engine import Engine, load_engine
from core.logs import get_logger
from core.settings import Settings
from core.spec import CaptionSpec

log = get_logger(__name__)

EngineLoader = Callable[[CaptionSpec, Settings], Engine]

_Key = tuple[str, str, str | None, str | None]


def _key(spec: CaptionSpec) -> _Key:
    """What decides which weights are loaded; prompts and sampling do not."""
    return (spec.engine, spec.model, spec.revision, spec.quantization)


class EngineHolder:
    """At most one engine in memory. A thread that wants another model waits until nobody uses the present one."""

    def __init__(self, settings: Settings, load: EngineLoader = load_engine) -> None:
        self._settings = settings
        self._load = load
        self._engine: Engine | None = None
        self._held: _Key | None = None
        self._users = 0
        self._free = threading.Condition()

    @contextmanager
    def engine(self, spec: CaptionSpec) -> Iterator[Engine]:
        """The engine of `spec`, shared. Raises the EngineConfigError tree when it cannot be loaded."""
        with self._free:
            self._free.wait_for(lambda: self._users == 0 or self._held == _key(spec))
            if self._held != _key(spec) or self._engine is None:
                self._unload()
                log.info("engine_loading", engine=spec.engine, model=spec.model)
                self._engine = self._load(spec, self._settings)
                self._held = _key(spec)
                log.info("engine_loaded", identity=self._engine.identity)
            self._users += 1
            engine = self._engine
        try:
            yield engine
        finally:
            with self._free:
                self._users -= 1
                self._free.notify_all()

    def close(self) -> None:
        with self._free:
            self._unload()

    def _unload(self) -> None:
        engine, self._engine, self._held = self._engine, None, None
        if engine is not None:
            engine.close()
