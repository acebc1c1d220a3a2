"""One worker process: Celery's consumer with a pool of threads around one engine.

Threads, not forked children: CUDA cannot be used after a fork, and two chunks that overlap in one engine keep the
accelerator busy while the other reads and decodes.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery, signals

from core.errors import EXIT_FATAL, DensifyError
from core.logs import configure, get_logger
from core.processes import die_with_parent
from core.settings import Settings, get_settings
from workers.celery_app import QUEUE, TASK_NAMES, make_celery
from workers.service import Service
from workers.tasks import FatalFault, Tasks

log = get_logger(__name__)


def register(app: Celery, tasks: Tasks) -> None:
    """Binds the task names to the process's task functions."""

    def bind(kind: Any, name: str) -> None:
        def task(identifier: str) -> None:
            try:
                tasks.run(kind, identifier)
            except FatalFault as fault:
                log.critical("process_ends", error=str(fault))
                os._exit(EXIT_FATAL)

        app.task(task, name=name)

    for kind, name in TASK_NAMES.items():
        bind(kind, name)


def run(settings: Settings) -> None:
    """Works until it is told to stop (SIGTERM or SIGINT: chunks in hand are given back first).

    Raises the EngineConfigError tree when the engine of the settings cannot be loaded, LedgerError without a ledger.
    """
    with Service(settings) as service:
        tasks = Tasks(service)
        tasks.warm_up()
        app = make_celery(settings.broker)
        register(app, tasks)
        service.sweeper.start()

        def give_back(**_: Any) -> None:
            tasks.stopping.set()

        signals.worker_shutting_down.connect(give_back)
        try:
            app.Worker(
                queues=[QUEUE],
                pool="threads",
                concurrency=settings.worker_threads,
                hostname=f"densify-{os.getpid()}@%h",
                loglevel=settings.log_level,
                without_gossip=True,
                without_mingle=True,
                quiet=True,
            ).start()
        finally:
            tasks.close()


def main() -> int:
    """`python -m workers.process`: what workers/launch.py starts once per GPU."""
    die_with_parent()
    settings = get_settings()
    configure(settings.log_level)
    try:
        run(settings)
    except DensifyError as error:
        print(f"error: {error.sentence}\nhint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
