"""A run's model as diffusers' own pipeline: what previews draw with, and the folder that a run ends in.

The folder holds everything, encoders too: `PixArtAlphaPipeline.from_pretrained(folder)` draws anywhere. A
classifier draws nothing: of it the folder holds the model and what noises images, under the names of a pipeline's
parts. Leaves out: how pictures are asked for (sampling.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core.files import fsync_folder, storage_errors, temporary_path
from training.class_to_image import ClassToImage
from training.classifier import Classifier
from training.lineage import FILE as LINEAGE
from training.models import separate_embedders
from training.prepare import Prepared
from training.start import PIPELINE, SCHEDULER, TRANSFORMER


def pipeline(prepared: Prepared, model: Any) -> Any:
    """A PixArtAlphaPipeline, or for stage 1 a DiTPipeline that knows its classes by name."""
    from diffusers import DiTPipeline, PixArtAlphaPipeline

    task = prepared.task
    # A compiled model would be compiled anew for every shape that is drawn; its weights are the plain one's.
    model = getattr(model, "_orig_mod", model)
    made: Any
    scheduler = task.learning.sampler()
    if isinstance(task, ClassToImage):
        names = dict(enumerate(task.names))
        made = DiTPipeline(separate_embedders(model), prepared.images.vae, scheduler, id2label=names)
        # diffusers takes the names, and does not write them by itself.
        made.register_to_config(id2label=names)
    else:
        assert prepared.texts is not None, "captions are read by a text encoder"
        made = PixArtAlphaPipeline(
            tokenizer=prepared.texts.tokenizer,
            text_encoder=prepared.texts.encoder,
            vae=prepared.images.vae,
            transformer=model,
            scheduler=scheduler,
        )
    made.set_progress_bar_config(disable=True)
    return made


def save_pipeline(run: Path, prepared: Prepared, model: Any) -> Path:
    """Writes the pipeline, or the classifier, into the run's folder; it appears whole or not at all.

    Raises StorageError and kin.
    """
    folder = run / PIPELINE
    part = temporary_path(folder)
    with storage_errors(str(folder)):
        try:
            if isinstance(prepared.task, Classifier):
                scheduler: Any = prepared.task.learning.sampler()
                model.save_pretrained(part / TRANSFORMER)
                scheduler.save_pretrained(part / SCHEDULER)
            else:
                pipeline(prepared, model).save_pretrained(part)
            if (run / LINEAGE).is_file():
                shutil.copyfile(run / LINEAGE, part / LINEAGE)
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
            fsync_folder(run)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder
