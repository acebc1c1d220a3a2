"""Drawing with what was learnt, with scheduler, guidance and a seed for each picture.

From captions diffusers' own pipeline draws, from classes guided.py, by the pipeline's parts.

Picture i of a call begins with the noise of seed `seed + i` whatever else is drawn, and its file says how it was made.
Leaves out: grids of pictures (grids.py).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from PIL import Image, PngImagePlugin

from core.errors import BadCheckpointError, BadFieldError
from core.files import write_atomic
from core.version import VERSION
from training.drawable import TOKENS, check, draws_classes
from training.guided import Guide, Wanted, class_numbers, draw_latents, number_of
from training.start import find_transformer

Scheduler = Literal["dpm++", "ddim", "pndm", "lms", "euler"]
SCHEDULERS: tuple[str, ...] = get_args(Scheduler)
#: Name of the text in a PNG that says how it was made.
FIELD = "densify"
#: Pictures drawn together.
BATCH = 16


@dataclass(frozen=True, slots=True)
class Drawing:
    """How one picture is drawn. `prompt`, `negative`: of a DiT, names of classes; `classifier`: what guides it;
    `tokens`: read of a prompt."""

    prompt: str
    seed: int
    steps: int = 20
    guidance: float = 4.5
    scheduler: Scheduler = "dpm++"
    width: int = 256
    height: int = 256
    negative: str = ""
    classifier: str = ""
    classifier_scale: float = 0.0
    tokens: int = TOKENS


def use_scheduler(pipeline: Any, name: str) -> None:
    """Gives the pipeline this scheduler, with the noise schedule that its model learnt.

    Raises BadFieldError where the model learnt another way than the scheduler can go.
    """
    import diffusers

    if name not in SCHEDULERS:
        raise BadFieldError(f"There is no scheduler {name}.", hint=f"Schedulers: {', '.join(SCHEDULERS)}.")
    config = pipeline.scheduler.config
    flow = config.get("prediction_type") == "flow_prediction"
    if flow and name not in ("dpm++", "euler"):
        raise BadFieldError(
            f"This model learnt flow matching, and the scheduler {name} knows noise schedules alone.",
            hint="Use dpm++ or euler.",
        )
    if config.get("rescale_betas_zero_snr") and name in ("pndm", "lms"):
        raise BadFieldError(
            f"This model learnt zero terminal SNR, and the scheduler {name} does not know it.",
            hint="Use dpm++, ddim or euler.",
        )
    kinds: dict[str, Any] = {
        "dpm++": diffusers.DPMSolverMultistepScheduler,
        "ddim": diffusers.DDIMScheduler,
        "pndm": diffusers.PNDMScheduler,
        "lms": diffusers.LMSDiscreteScheduler,
        # DPM-Solver++ of first order is Euler's step of a flow; diffusers' own scheduler for it lacks what pipelines of
        # noise schedules call.
        "euler": diffusers.DPMSolverMultistepScheduler if flow else diffusers.EulerDiscreteScheduler,
    }
    # Diffusers' defaults would clip latents to [-1, 1], as if they were pixels.
    extra: dict[str, Any] = {"clip_sample": False} if name == "ddim" else {}
    extra |= {"skip_prk_steps": True} if name == "pndm" else {}
    if flow:
        extra["solver_order"] = 1 if name == "euler" else 2
    pipeline.scheduler = kinds[name].from_config(config, **extra)


def draw(
    pipeline: Any, drawings: Sequence[Drawing], guide: Guide | None = None
) -> Iterator[tuple[Drawing, Image.Image]]:
    """Draws in order, those that share all but prompt and seed together.

    `guide`: the classifier of drawings that have a scale for it. Raises BadFieldError for what the model cannot draw,
    before any is drawn.
    """
    for each in drawings:
        check(pipeline, each.width, each.height, each.guidance, each.classifier_scale)
    start = 0
    while start < len(drawings):
        first = _shared(drawings[start])
        stop = start
        while stop < min(len(drawings), start + BATCH) and _shared(drawings[stop]) == first:
            stop += 1
        some = drawings[start:stop]
        with _one_precision(pipeline):
            images = _classes(pipeline, some, guide) if draws_classes(pipeline) else _batch(pipeline, some)
        yield from zip(some, images, strict=True)
        start = stop


def _one_precision(pipeline: Any) -> torch.autocast:
    """A model that is still learning has weights in float32, and on a GPU the encoders beside it have half of that."""
    mixed = pipeline.transformer.dtype != pipeline.vae.dtype
    return torch.autocast(pipeline.transformer.device.type, torch.float16, enabled=mixed)


def _shared(drawing: Drawing) -> tuple[Any, ...]:
    return tuple(value for name, value in asdict(drawing).items() if name not in ("prompt", "seed"))


@torch.inference_mode()
def _batch(pipeline: Any, drawings: Sequence[Drawing]) -> list[Image.Image]:
    shared = drawings[0]
    use_scheduler(pipeline, shared.scheduler)
    # On the CPU, so that every machine begins with the same noise.
    noise = [torch.Generator("cpu").manual_seed(drawing.seed) for drawing in drawings]
    drawn = pipeline(
        prompt=[drawing.prompt for drawing in drawings],
        negative_prompt=shared.negative,
        num_inference_steps=shared.steps,
        guidance_scale=shared.guidance,
        width=shared.width,
        height=shared.height,
        generator=noise,
        clean_caption=False,
        use_resolution_binning=False,
        max_sequence_length=shared.tokens,
    )
    return list(drawn.images)


@torch.no_grad()
def _classes(pipeline: Any, drawings: Sequence[Drawing], guide: Guide | None) -> list[Image.Image]:
    shared, classes = drawings[0], class_numbers(pipeline)
    use_scheduler(pipeline, shared.scheduler)
    model, vae = pipeline.transformer, pipeline.vae
    shape = model.config.in_channels, model.config.sample_size, model.config.sample_size
    noise = [torch.randn(shape, generator=torch.Generator("cpu").manual_seed(each.seed)) for each in drawings]

    def numbers(names: Sequence[str], of: dict[str, int], whose: str) -> torch.Tensor:
        return torch.tensor([number_of(name, of, whose) for name in names], device=model.device)

    names = [drawing.prompt for drawing in drawings]
    without = torch.full((len(names),), model.config.num_embeds_ada_norm, device=model.device)
    if shared.negative:
        without = numbers([shared.negative] * len(names), classes, "The model")
    guided = numbers(names, guide.numbers, "The classifier") if guide else None
    latents = draw_latents(
        pipeline,
        Wanted(numbers(names, classes, "The model"), without, guided),
        torch.stack(noise).to(model.device, model.dtype),
        shared.steps,
        shared.guidance,
        guide,
        shared.classifier_scale,
    )
    decoded = vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)).sample
    pixels = (decoded / 2 + 0.5).clamp(0, 1).cpu().permute(0, 2, 3, 1).float().numpy()
    return list(pipeline.numpy_to_pil(pixels))


def png(image: Image.Image, told: dict[str, Any]) -> bytes:
    """The bytes of a PNG that says inside what is `told` of it, and the version (`read_png`)."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(FIELD, json.dumps(told | {"version": VERSION}, ensure_ascii=False, sort_keys=True))
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text)
    return file.getvalue()


def save_png(file: Path, image: Image.Image, drawing: Drawing, model: str) -> None:
    """Writes the picture with how it was made inside. Raises StorageError and kin."""
    write_atomic(file, png(image, asdict(drawing) | {"model": model}))


def save_grid(file: Path, sheet: Image.Image, drawings: Sequence[Drawing], model: str) -> None:
    """Writes a grid with how its pictures were made inside, in reading order. Raises StorageError and kin."""
    write_atomic(file, png(sheet, {"model": model, "drawings": [asdict(drawing) for drawing in drawings]}))


def read_png(file: Path) -> dict[str, Any]:
    """How a picture was made; empty where its file does not say."""
    with Image.open(file) as image:
        text = getattr(image, "text", {}).get(FIELD, "{}")
    told: dict[str, Any] = json.loads(text)
    return told


def load_pipeline(name: str) -> Any:
    """The pipeline of a run, a diffusers folder, a hub id, or `demo`, on the GPU where there is one.

    Raises NoSuchPathError, BadCheckpointError, HubUnreachableError.
    """
    import diffusers

    folder = find_transformer(name, whole=True).parent
    if not (folder / "model_index.json").is_file():
        raise BadCheckpointError(
            f"{folder} is no pipeline: it has no model_index.json.",
            hint="Name a run that is done, or a diffusers folder.",
        )
    cuda = torch.cuda.is_available()
    kind: Any = diffusers.DiffusionPipeline
    # A bar for five files would stand between the caller's own.
    diffusers.utils.logging.disable_progress_bar()
    names = json.loads((folder / "model_index.json").read_text()).get("id2label")
    # JSON's numbers of classes are words, which diffusers would complain of.
    more = {"id2label": {int(number): name for number, name in names.items()}} if names else {}
    made = kind.from_pretrained(folder, dtype=torch.float16 if cuda else torch.float32, **more)
    made.set_progress_bar_config(disable=True)
    if names:  # of which diffusers keeps pieces alone
        made.register_to_config(id2label=names)
    return made.to("cuda" if cuda else "cpu")
