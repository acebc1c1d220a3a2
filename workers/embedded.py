"""The embedded worker: threads in the service's own process that follow hints from the local queue.

It runs the very tasks that Celery runs; only the carrier of the hints differs.
"""

from __future__ import annotations

import os
import threading

from captioner.engine import load_engine
from core.errors import EXIT_FATAL
from core.logs import get_logger
from workers.engines import EngineLoader
from workers.hints import LocalHints
from workers.service import Service
from workers.tasks import FatalFault, Tasks

log = get_logger(__name__)


class EmbeddedWorkers:
    """Starts the sweeper and the task threads; `stop` gives unfinished chunks back and waits for the threads."""

    def __init__(self, service: Service, load: EngineLoader = load_engine) -> None:
        assert isinstance(service.hints, LocalHints), "the embedded worker reads hints of its own process"
        self._hints = service.hints
        self._service = service
        self.tasks = Tasks(service, load)
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Raises the EngineConfigError tree when the engine of the settings cannot be loaded."""
        self.tasks.warm_up()
        self._service.sweeper.start()
        self._service.sweeper.wake()
        for number in range(self._service.settings.worker_threads):
            thread = threading.Thread(target=self._loop, name=f"densify-task-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self.tasks.stopping.set()
        for thread in self._threads:
            thread.join()
        self._service.sweeper.stop()
        self.tasks.close()

    def _loop(self) -> None:
        while not self.tasks.stopping.is_set():
            hint = self._hints.receive(timeout_s=0.2)
            if hint is None:
                continue
            try:
                self.tasks.run(*hint)
            except FatalFault as fault:
                log.critical("process_ends", error=str(fault))
                os._exit(EXIT_FATAL)  # the CUDA context is gone; leases bring the chunks back after a restart
