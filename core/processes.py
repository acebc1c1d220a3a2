"""Child processes that never outlive the process that started them."""

from __future__ import annotations

import ctypes
import signal
import sys

#: prctl's number for "send me a signal when my parent dies" (linux/prctl.h).
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Linux: the kernel sends this process SIGTERM when the one that started it ends, even by kill -9.

    Elsewhere it does nothing: there an orphan ends when its work does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
