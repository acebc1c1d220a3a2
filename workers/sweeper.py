"""The sweeper: brings the queue of hints in line with the ledger, again and again.

Each round takes back expired leases, then tops the queue up with hints for work that nobody holds. A Redis that lost
everything, a hint that was never sent, a worker that died: all are the same case, work in the ledger without a hint.
"""

from __future__ import annotations

import threading
from dataclasses import asdict

from core.errors import DensifyError
from core.logs import get_logger
from core.settings import Settings
from ledger import Ledger
from workers.hints import KINDS, Hints, Kind

log = get_logger(__name__)

#: Hints kept waiting at most: enough that workers never run dry between two rounds, few enough that what is urgent
#: is not far behind.
HIGH_WATER = 256


class Sweeper:
    """One thread; `wake` makes it go round at once."""

    def __init__(self, ledger: Ledger, hints: Hints, settings: Settings) -> None:
        self._ledger = ledger
        self._hints = hints
        self._settings = settings
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._loop, name="densify-sweeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """New work is in the ledger: send hints for it now, whoever's turn it is."""
        self._woken.set()

    def sweep(self) -> dict[str, int]:
        """One round. Returns what was taken back (see ledger.Swept) and how many hints were sent."""
        swept = self._ledger.expire_leases(self._settings.chunk_attempts)
        return {**asdict(swept), "sent": self._top_up()}

    def _top_up(self) -> int:
        waiting = self._hints.queued()
        if waiting is None or waiting >= HIGH_WATER:
            return 0
        sent = 0
        for kind in KINDS:
            room = HIGH_WATER - waiting
            if room <= 0:
                break
            sent += self._hint(kind, waiting, room)
            waiting += sent
        return sent

    def _hint(self, kind: Kind, waiting: int, room: int) -> int:
        ids = self._ledger.claimable(kind, HIGH_WATER)
        # Hints that wait already stand, most likely, for the oldest work: go on behind them. Where that guess is
        # wrong the queue runs empty, `waiting` is 0, and the next round starts from the oldest again.
        fresh = ids[waiting:][:room] if kind == "chunk" else ids[:room]
        return self._hints.send(kind, fresh) if fresh else 0

    def _loop(self) -> None:
        while not self._stopped.is_set():
            woken = self._woken.wait(self._settings.sweep_s)
            self._woken.clear()
            if self._stopped.is_set():
                return
            if not woken and not self._hints.my_turn(self._settings.sweep_s * 0.9):
                continue
            try:
                done = self.sweep()
            except DensifyError as error:
                log.error("sweep_failed", code=error.code, error=error.sentence)
                continue
            if any(done.values()):
                log.info("swept", **done)
