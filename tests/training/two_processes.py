"""Two processes of one script, started as people start them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def started(script: Path) -> str:
    """What two processes of a script said, on a core each."""
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
