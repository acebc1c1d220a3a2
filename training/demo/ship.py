"""Makes what ships of a run's pipeline: `python -m training.demo.ship RUN [--out training/demo/model]`.

Half precision but for the text encoder, and the run's lineage beside it; the model card stays.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from core.files import temporary_path
from training.encoders import SHIPPED
from training.lineage import FILE as LINEAGE
from training.start import PIPELINE

CARD = "README.md"


def ship(run: Path, out: Path) -> None:
    """Writes the pipeline of `run` into `out`, whole or not at all."""
    import diffusers

    kind: Any = diffusers.DiffusionPipeline
    pipeline = kind.from_pretrained(run / PIPELINE)
    part = temporary_path(out)
    # transformers loads what it finds and diffusers float32: a text encoder in half precision would fit no other part.
    pipeline.vae.half()
    pipeline.transformer.half()
    pipeline.save_pretrained(part)
    shutil.copyfile(run / LINEAGE, part / LINEAGE)
    if (out / CARD).is_file():
        shutil.copyfile(out / CARD, part / CARD)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make what ships of a run's pipeline.")
    parser.add_argument("run", type=Path, help="a run that is done")
    parser.add_argument("--out", type=Path, default=SHIPPED["demo"])
    given = parser.parse_args()
    ship(given.run, given.out)


if __name__ == "__main__":
    main()
