"""Several processes train one model: each step's batch is shared out, one of them tells and writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.training.small_run import loop, recipe


def test_two_processes_train_the_model_that_one_does(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    # AdamW divides by the gradient's size, and Muon computes in bfloat16: both would make rounding large.
    plain = {"name": "adamw", "rate": 1e-3, "eps": 1e-2, "schedule": "constant", "warmup": 0}
    one = loop(tmp_path / "one", recipe(optimiser=plain))
    one.run()
    folder = tmp_path / "two"
    script = (
        "import torch; from pathlib import Path; from tests.training.small_run import Loud, loop, recipe;"
        f"torch.set_num_threads(1); loop(Path({str(folder)!r}), recipe(optimiser={plain!r}), Loud()).run()"
    )
    (tmp_path / "run.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", tmp_path / "run.py"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(step) for step in range(1, 13)], "one process tells"
    two = loop(folder, recipe(optimiser=plain))
    assert two.states.load() == 12
    for name, value in one.task.model.state_dict().items():
        torch.testing.assert_close(two.task.model.state_dict()[name], value, rtol=0, atol=2e-5)
