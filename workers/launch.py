"""`densify worker`: one process per visible GPU, each seeing only its own; on a machine without GPUs, one process.

The parent only watches: a child that crashed or gave up its accelerator is started again, with growing pauses; a child
that refused to start (wrong model, no ledger) ends the parent with the same exit code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from core.logs import get_logger
from core.settings import Settings
from workers import process

log = get_logger(__name__)

#: Seconds before a child that ended is started again: doubled each time, up to the last.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: A child that lived this long starts again with the first pause.
HEALTHY_S = 300.0


def visible_gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them. Asked in a child: CUDA is not begun here."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    answer = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"], capture_output=True, text=True
    )
    return [str(number) for number in range(int(answer.stdout.strip() or 0))]


@dataclass
class _Child:
    gpu: str
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    pause_s: float = field(default=FIRST_PAUSE_S)

    def start(self) -> None:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": self.gpu}
        self.process = subprocess.Popen([sys.executable, "-m", "workers.process"], env=environment)
        self.started_s = time.monotonic()
        log.info("worker_started", gpu=self.gpu, pid=self.process.pid)

    def ended(self) -> int | None:
        return self.process.poll() if self.process is not None else None

    def schedule(self) -> None:
        if time.monotonic() - self.started_s > HEALTHY_S:
            self.pause_s = FIRST_PAUSE_S
        self.due_s = time.monotonic() + self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        self.process = None


def run(settings: Settings) -> int:
    """Runs workers until SIGTERM or SIGINT; returns the exit code. Raises what workers.process.run raises on a CPU."""
    gpus = [] if settings.device == "cpu" else visible_gpus()
    if not gpus:
        process.run(settings)
        return 0
    return _watch([_Child(gpu) for gpu in gpus])


def _watch(children: list[_Child]) -> int:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    code = 0
    try:
        while not stopping and code == 0:
            for child in children:
                code = code or _tend(child)
            time.sleep(0.5)
    finally:
        for child in children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in children:
            if child.process is not None:
                child.process.wait()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code


def _tend(child: _Child) -> int:
    """Starts the child when it is due; returns its exit code when it refused to start for good, else 0."""
    if child.process is None:
        if time.monotonic() >= child.due_s:
            child.start()
        return 0
    ended = child.ended()
    if ended is None:
        return 0
    if ended == 2:
        return 2
    log.warning("worker_ended", gpu=child.gpu, code=ended, restart_in_s=child.pause_s)
    child.schedule()
    return 0
