"""Leases kept alive while work makes progress, and let go when it does not.

One thread per process renews every lease that it keeps, a third of the lease's length apart, but only while the work
touches it: a hung accelerator stops touching, the lease runs out, and another worker takes the chunk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import DensifyError
from core.logs import get_logger
from ledger import ChunkClaim, Ledger, ShardClaim

log = get_logger(__name__)


class Lease:
    """A claim that is being kept: `touch` it on progress; `lost` turns true once the ledger gave it to another."""

    def __init__(self, claim: ChunkClaim | ShardClaim, stall_s: float) -> None:
        self.claim = claim
        self.stall_s = stall_s
        self.lost = False
        self._touched_s = time.monotonic()

    def touch(self) -> None:
        self._touched_s = time.monotonic()

    def idle_s(self) -> float:
        return time.monotonic() - self._touched_s


class LeaseKeeper:
    """Renews the leases of one process."""

    def __init__(self, ledger: Ledger, lease_s: float, stall_s: float) -> None:
        self._ledger = ledger
        self._lease_s = lease_s
        self._stall_s = stall_s
        self._kept: set[Lease] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="densify-leases", daemon=True)
        self._thread.start()

    @contextmanager
    def keep(self, claim: ChunkClaim | ShardClaim, stall_s: float | None = None) -> Iterator[Lease]:
        """Keeps the claim's lease alive inside the block.

        `stall_s`: seconds without a touch after which it is no longer renewed, in place of the process's own.
        """
        lease = Lease(claim, self._stall_s if stall_s is None else stall_s)
        with self._lock:
            self._kept.add(lease)
        try:
            yield lease
        finally:
            with self._lock:
                self._kept.discard(lease)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopped.wait(self._lease_s / 3):
            with self._lock:
                lively = [lease for lease in self._kept if not lease.lost and lease.idle_s() < lease.stall_s]
            if not lively:
                continue
            try:
                lost = self._ledger.renew([lease.claim for lease in lively], self._lease_s)
            except DensifyError as error:
                log.warning("leases_not_renewed", code=error.code, error=error.sentence)
                continue
            for lease in lively:
                lease.lost = lease.claim in lost
