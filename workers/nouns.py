"""Counting nouns in a process of its own.

It was meant to keep the tagger's Python from taking turns with the decoding loop's. No gain was measured on two
cores (benchmarks/RESULTS.md), and none was looked for beside a GPU: without one, `measure_here` can serve alone.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache

from analysis.counts import NounCounts, SampleCount, measure
from analysis.nouns import DEFAULT_PIPELINE, NounPipeline, load_pipeline
from core.errors import ServiceError
from core.processes import die_with_parent

Counted = tuple[NounCounts, list[SampleCount]]

#: (key, final caption) pairs of a shard in; its counts, and one row per caption in their order, out.
Measure = Callable[[Sequence[tuple[str, str]]], Counted]


@lru_cache(maxsize=1)
def noun_pipeline() -> NounPipeline:
    """The process's noun pipeline, loaded at its first use."""
    return load_pipeline(DEFAULT_PIPELINE)


def measure_here(captions: Sequence[tuple[str, str]]) -> Counted:
    """Counts in this process."""
    return measure(captions, noun_pipeline())


class NounCounter:
    """Counts in a child process, which starts at `start` or at the first call, and ends with this process."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts the child and has it load its pipeline, without waiting for it."""
        self._running().submit(measure_here, [])

    def measure(self, captions: Sequence[tuple[str, str]]) -> Counted:
        """See Measure. Raises ServiceError when the child died (of memory, say); the next call starts another."""
        pool = self._running()
        try:
            return pool.submit(measure_here, captions).result()
        except BrokenProcessPool as error:
            with self._lock:
                if self._pool is pool:
                    self._pool = None
            pool.shutdown(wait=False)
            raise ServiceError("The process that counts nouns died.", hint="It is started again by itself.") from error

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # Spawned, not forked: a fork of a process with threads and a CUDA context cannot be trusted.
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_in_child)
            return self._pool


def _in_child() -> None:
    die_with_parent()
    # Ctrl-C goes to the whole process group; the parent ends this child when it has given back its work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
