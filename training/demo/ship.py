"""Makes what ships of a run's pipeline: `python -m training.demo.ship RUN [--out training/demo/model]`.

Half precision but for the text encoder, and the run's lineage beside it; the model card stays.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from training.encoders import SHIPPED
from training.folders import standing, whole_folder
from training.lineage import FILE as LINEAGE
from training.pipelines import write_pipeline
from training.start import PIPELINE

CARD = "README.md"


def ship(run: Path, out: Path) -> None:
    """Makes `out` from the pipeline of `run`; what was there is replaced when all of the new is written."""
    import diffusers

    kind: Any = diffusers.DiffusionPipeline
    pipeline = kind.from_pretrained(standing(run / PIPELINE))
    pipeline.vae.half()
    pipeline.transformer.half()
    with whole_folder(out) as part:
        write_pipeline(part, pipeline)
        for config in part.rglob("*.json"):
            _forget_where(config)
        shutil.copyfile(run / LINEAGE, part / LINEAGE)
        if (out / CARD).is_file():
            shutil.copyfile(out / CARD, part / CARD)


def _forget_where(config: Path) -> None:
    """diffusers writes into a model's configuration the folder that it was loaded from: that of this machine."""
    told = json.loads(config.read_text())
    if told.pop("_name_or_path", None):
        config.write_text(json.dumps(told, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make what ships of a run's pipeline.")
    parser.add_argument("run", type=Path, help="a run that is done")
    parser.add_argument("--out", type=Path, default=SHIPPED["demo"])
    given = parser.parse_args()
    ship(given.run, given.out)


if __name__ == "__main__":
    main()
