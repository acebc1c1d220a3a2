"""A run's model as diffusers' own pipeline: what previews draw with, and the folder that a run ends in.

The folder holds everything, encoders too: `PixArtAlphaPipeline.from_pretrained(folder)` draws anywhere. A
classifier draws nothing: of it the folder holds the model and what noises images, under the names of a pipeline's
parts. Leaves out: how pictures are asked for (sampling.py).
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch

from training.class_to_image import ClassToImage
from training.classifier import Classifier
from training.folders import whole_folder
from training.lineage import FILE as LINEAGE
from training.lineage import write as write_lineage
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
    """Writes the pipeline, or the classifier, into the run's folder, its lineage inside; there is a whole one at every
    moment, the old one until the new one is there.

    Raises StorageFullError or StorageError.
    """
    folder = run / PIPELINE
    with whole_folder(folder) as part:
        if isinstance(prepared.task, Classifier):
            scheduler: Any = prepared.task.learning.sampler()
            model.save_pretrained(part / TRANSFORMER)
            scheduler.save_pretrained(part / SCHEDULER)
        else:
            write_pipeline(part, pipeline(prepared, model))
        if (run / LINEAGE).is_file():  # which tells of resumes, too
            shutil.copyfile(run / LINEAGE, part / LINEAGE)
        else:
            write_lineage(part, prepared.lineage)
    return folder


def write_pipeline(folder: Path, made: Any) -> None:
    """Writes diffusers' pipeline so that `from_pretrained(folder)` draws; what is in memory stays as it is.

    Plainly loaded, diffusers' models are float32 whatever is in their files, and transformers' are what is in theirs: a
    text encoder in half precision would fit no other part. So it is written in float32.
    """
    encoder = getattr(made, "text_encoder", None)
    if encoder is None or all(value.dtype == torch.float32 for value in encoder.parameters()):
        made.save_pretrained(folder)
        return
    made.text_encoder = _in_float32(encoder)
    try:
        made.save_pretrained(folder)
    finally:
        made.text_encoder = encoder


def _in_float32(encoder: Any) -> Any:
    """A copy on the CPU: beside a model that was trained, a GPU may have no room for it."""
    config = copy.deepcopy(encoder.config)
    config.dtype = torch.float32
    with torch.device("meta"):
        made = type(encoder)(config)
    state = {name: value.to("cpu", torch.float32) for name, value in encoder.state_dict().items()}
    made.load_state_dict(state, assign=True)
    made.tie_weights()
    return made
