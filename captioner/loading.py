"""Loads a LLaVA-family model for the transformers engine: which device, which number type, and no weight left random.

Leaves out where the files are (source.py) and the key map of original-format checkpoints (checkpoint.py).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from captioner import checkpoint
from captioner.chat import VICUNA, Chat
from captioner.processors import load_processor, quiet
from captioner.source import ModelSource, find_model
from core.errors import BadCheckpointError, EngineConfigError, MissingPackageError
from core.logs import get_logger
from core.settings import Settings
from core.spec import DEMO_MODEL, CaptionSpec

if TYPE_CHECKING:
    import torch

log = get_logger(__name__)

#: Families that are supported and tested; others of transformers' image-text-to-text classes are refused.
MODEL_TYPES = ("llava", "llava_next", "llava_onevision")
KEYS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device, in evaluation mode, with what belongs to it."""

    model: Any
    processor: Any
    chat: Chat
    identity: str


def load_model(spec: CaptionSpec, settings: Settings) -> Loaded:
    """Finds and loads the model of `spec`.

    Raises EngineConfigError: no such folder or device, a model of another family; HubUnreachableError;
    BadCheckpointError: weights missing, left over or of another shape; MissingPackageError: no bitsandbytes.
    """
    import torch

    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    options = placement(device, dtype, spec.quantization)
    if settings.cpu_threads:
        torch.set_num_threads(settings.cpu_threads)
    source = find_model(spec.model, spec.revision)
    if spec.model == DEMO_MODEL:
        log.warning("this model knows the demo world's drawn scenes only; set DENSIFY_MODEL for other pictures")
    with quiet():
        if checkpoint.is_original(source.config()):
            return _load_original(source, device, options)
        return _load_hub_format(source, device, options)


def _load_hub_format(source: ModelSource, device: torch.device, options: dict[str, Any]) -> Loaded:
    from transformers import AutoModelForImageTextToText

    model_type = source.config().get("model_type")
    if model_type not in MODEL_TYPES:
        raise EngineConfigError(
            f"{source.name} is a model of type '{model_type}'; the engine runs {', '.join(MODEL_TYPES)}.",
            hint="Serve it with vLLM or another OpenAI-compatible server, and use the engine `openai`.",
        )
    processor = load_processor(source.folder, model_type)
    with loading_errors(source.name):
        model, report = AutoModelForImageTextToText.from_pretrained(source.folder, output_loading_info=True, **options)
    refuse_gaps(source.name, report)
    return Loaded(_ready(model, device, options), processor, Chat(processor, VICUNA), source.identity())


def _load_original(source: ModelSource, device: torch.device, options: dict[str, Any]) -> Loaded:
    original = checkpoint.read_original(source)
    with loading_errors(source.name):
        model, report = original.model_class.from_pretrained(
            None, config=original.config, state_dict=original.weights, output_loading_info=True, **options
        )
    refuse_gaps(source.name, report)
    model.generation_config.suppress_tokens = original.unspoken or None
    identity = source.identity(*original.tower_folders)
    chat = Chat(original.processor, original.chat_form)
    return Loaded(_ready(model, device, options), original.processor, chat, identity)


def _ready(model: Any, device: torch.device, options: Mapping[str, Any]) -> Any:
    model.eval()
    return model if "device_map" in options else model.to(device)


def refuse_gaps(name: str, report: Mapping[str, Any]) -> None:
    """Raises BadCheckpointError unless every weight of the model came from the checkpoint, and none was left over."""
    problems = []
    for kind, words in (
        ("missing_keys", "lacks"),
        ("unexpected_keys", "has no place for"),
        ("mismatched_keys", "has another shape for"),
    ):
        keys = sorted(key if isinstance(key, str) else str(key[0]) for key in report.get(kind) or ())
        if keys:
            rest = f" and {len(keys) - KEYS_NAMED} more" if len(keys) > KEYS_NAMED else ""
            problems.append(f"{words} {', '.join(keys[:KEYS_NAMED])}{rest}")
    if report.get("error_msgs"):
        problems.append(str(report["error_msgs"][0]))
    if problems:
        raise BadCheckpointError(
            f"The checkpoint {name} does not fit its model: it {'; it '.join(problems)}.",
            hint="The files are damaged, incomplete or of another model; captions of random weights are worthless.",
        )


@contextmanager
def loading_errors(name: str) -> Iterator[None]:
    """What transformers raises for damaged files, as BadCheckpointError; for too little memory, EngineConfigError."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineConfigError(
            f"{name} does not fit into the accelerator's memory.",
            hint="Use a smaller model, `quantization`, or a larger accelerator.",
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        line = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise BadCheckpointError(f"The checkpoint {name} does not load: {line}") from error
    except Exception as error:
        # safetensors raises an error class of its own for damaged files.
        if type(error).__name__ != "SafetensorError":
            raise
        raise BadCheckpointError(f"A weight file of {name} is damaged: {error}") from error


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU, else the CPU. Raises EngineConfigError for a device that is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EngineConfigError(f"'{name}' is no device.", hint="Use auto, cpu, cuda or cuda:1.") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise EngineConfigError(f"The device '{name}' is not supported.", hint="Use auto, cpu, cuda or cuda:1.")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= found:
        raise EngineConfigError(f"The device '{name}' is not there: {found} CUDA devices are visible.")
    return torch.device("cuda", device.index or 0)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the GPU has it, float16 on older GPUs, float32 on a CPU."""
    import torch

    if name != "auto":
        return getattr(torch, name)
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def placement(device: torch.device, dtype: torch.dtype, quantization: str | None) -> dict[str, Any]:
    """The keyword arguments of `from_pretrained` that say how and where weights are loaded."""
    # Shapes that differ are then reported beside the missing keys, and refused in the same sentence.
    options: dict[str, Any] = {"dtype": dtype, "ignore_mismatched_sizes": True}
    if device.type == "cuda":
        options["device_map"] = {"": device}
    if quantization is None:
        return options
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingPackageError(
            f"Loading in {quantization} needs the package bitsandbytes.", hint="Install `densify[quantize]`."
        )
    if device.type != "cuda":
        raise EngineConfigError(f"Loading in {quantization} needs a CUDA device.", hint="Leave `quantization` out.")
    from transformers import BitsAndBytesConfig

    options["quantization_config"] = (
        BitsAndBytesConfig(load_in_8bit=True)
        if quantization == "8bit"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4")
    )
    return options
