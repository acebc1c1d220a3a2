"""Loads a checkpoint's processor (tokenizer and picture preprocessing), ready for batches with one picture a row.

Leaves out chat formats (chat.py) and weights (transformers_engine.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import BadCheckpointError


def load_processor(folder: Path | str, model_type: str) -> Any:
    """The processor in `folder`, its tokenizer set to pad on the left with some token. Raises BadCheckpointError."""
    from transformers import AutoProcessor

    kind: Any = image_only_onevision() if model_type == "llava_onevision" else AutoProcessor
    try:
        processor = kind.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        raise BadCheckpointError(
            f"The processor in {folder} does not load: {_first_line(error)}",
            hint="The folder needs the tokenizer's and the image processor's files beside the weights.",
        ) from error
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise BadCheckpointError(f"{folder} holds no processor for pictures, only {type(processor).__name__}.")
    return prepare_tokenizer(processor)


def prepare_tokenizer(processor: Any) -> Any:
    """Left padding (the new tokens follow the last one of every row), and a padding token where there is none."""
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        # Padded places are masked: any token serves, as long as it exists.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise BadCheckpointError("The tokenizer has neither a padding, an end-of-text nor an unknown token.")
    return processor


def image_only_onevision() -> Any:
    """LLaVA-OneVision's processor without its part for videos, which needs torchvision and is never used here."""
    from transformers import LlavaOnevisionProcessor, ProcessorMixin

    class ImageOnlyOnevisionProcessor(LlavaOnevisionProcessor):
        def __init__(
            self,
            image_processor: Any = None,
            tokenizer: Any = None,
            num_image_tokens: int | None = None,
            vision_feature_select_strategy: str | None = None,
            chat_template: str | None = None,
            image_token: str = "<image>",
            vision_aspect_ratio: str = "anyres_max_9",
            **_unused: Any,
        ) -> None:
            self.num_image_tokens = num_image_tokens
            self.vision_feature_select_strategy = vision_feature_select_strategy
            self.vision_aspect_ratio = vision_aspect_ratio
            self.image_token = getattr(tokenizer, "image_token", image_token)
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    # What it saves is the public class's: any transformers reads it.
    ImageOnlyOnevisionProcessor.__name__ = LlavaOnevisionProcessor.__name__
    return ImageOnlyOnevisionProcessor


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and hints: what matters comes as an error, and logs are structured."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
