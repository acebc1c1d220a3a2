"""A run in TensorBoard: losses, gradient, rate, speed and previews over its steps.

`tensorboard --logdir RUN/tensorboard` shows it, and several runs side by side. What a killed run told of steps that are
taken again is left out of what is shown. Leaves out: the log of JSON lines, and the picture of losses (curves.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from training.loop import Told
    from training.validation import Measured

FOLDER = "tensorboard"


class Board:
    """Writes into the folder `tensorboard` of a run that goes on after `step`. One process alone may have it."""

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run / FOLDER), purge_step=step + 1)

    def told(self, said: Told) -> None:
        """What the loop says of a step."""
        for name, value in (
            ("loss/train", said.loss),
            ("gradient", said.gradient),
            ("rate", said.rate),
            ("images per second", said.images_per_second),
        ):
            self._writer.add_scalar(name, value, said.step)

    def measured(self, step: int, found: Measured) -> None:
        """The validation loss after a step, and that of every time step."""
        self._writer.add_scalar("loss/validation", found.loss, step)
        for place, loss in found.by_place:
            self._writer.add_scalar(f"validation by time/{place:.3f}", loss, step)

    def drew(self, step: int, sheet: Image.Image) -> None:
        """A grid of previews."""
        import numpy as np

        self._writer.add_image("previews", np.asarray(sheet.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Everything is on the disk afterwards."""
        self._writer.close()
