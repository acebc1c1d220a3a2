"""Drawing classes with a DiT, steered to the class by its own guess without one, by a classifier, or by both.

diffusers' DiTPipeline knows neither flow matching nor another number of classes than ImageNet's, so the steps are here;
the scheduler is diffusers'.

Classifier guidance (arXiv 2105.05233, section 4). A noised image is x = a x0 + b n, with signal a and noise b: sqrt of
alpha_bar and of 1 - alpha_bar on a noise schedule; 1 - t and t in flow matching. Its score is -E[n | x] / b. What is
drawn of p(x) p(y | x)^s has the score

    score' = score + s grad, with grad = grad_x log p(y | x),

and so, by what the model says of x,

    epsilon = E[n | x]:         epsilon' = epsilon - s b grad        (the paper's algorithm 2)
    flow's v = E[n - x0 | x]:   n = x + (1 - t) v, so 1 - t times the change of v is that of n:
                                v' = v - s t / (1 - t) grad
    v = E[a n - b x0 | x]:      n = a v + b x, so a times the change of v is that of n:
                                v' = v - s (b / a) grad

Both directions change by -s (b / a) grad. Near pure noise b / a has no bound. The truth does not need one: there grad
is a (E[x0 | y] - E[x0]) / b^2, less and less with a, and the product goes to the difference of the two means. A learnt
classifier's grad does not vanish as well, so a is taken to be LEAST_SIGNAL at least: there, and there alone, it steers
less than asked. Epsilon is never divided by a, and follows the paper at every step.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from core.errors import BadCheckpointError, BadFieldError
from training.classifier import logits
from training.lineage import FILE
from training.start import SCHEDULER, find_transformer

#: Signal below which directions are steered as if there were this much: times from 0.98 on in flow matching.
LEAST_SIGNAL = 0.02

Kind = Literal["epsilon", "v_prediction", "flow_prediction"]


@dataclass(frozen=True)
class Guide:
    """A trained classifier: `numbers` of its classes by name; `steps`: the time that stands for pure noise."""

    model: Any
    numbers: dict[str, int]
    steps: int

    def gradient(self, latents: torch.Tensor, times: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Like `latents` (n, c, h, w): where the log-probability of `classes` (n) rises. Not in inference mode."""
        with torch.enable_grad():
            asked = latents.detach().float().requires_grad_()
            likely = logits(self.model, asked, times, self.steps).log_softmax(1)
            (found,) = torch.autograd.grad(likely.gather(1, classes[:, None]).sum(), asked)
        return found.to(latents)


@dataclass(frozen=True)
class Wanted:
    """What some pictures show, by number: (n) `classes` of the DiT, (n) what they are guided away from, and for a guide
    (n) its own numbers of the classes."""

    classes: torch.Tensor
    without: torch.Tensor
    guided: torch.Tensor | None = None


def steered(
    said: torch.Tensor, gradient: torch.Tensor, kind: Kind, signal: float, noise: float, scale: float
) -> torch.Tensor:
    """What a model said of noised latents, guided by a classifier's gradient (the formulas above)."""
    share = noise if kind == "epsilon" else noise / max(signal, LEAST_SIGNAL)
    return said - scale * share * gradient


def signal_and_noise(scheduler: Any, time: float) -> tuple[float, float]:
    """(a, b) at a time as the model is told it; what `scheduler.scale_model_input` gives is a x0 + b n."""
    if scheduler.config.prediction_type == "flow_prediction":
        share = time / scheduler.config.num_train_timesteps
        return 1 - share, share
    # Some schedulers stop between two steps of the schedule.
    kept = float(scheduler.alphas_cumprod[round(time)])
    return kept**0.5, (1 - kept) ** 0.5


@torch.no_grad()
def draw_latents(
    pipeline: Any,
    wanted: Wanted,
    noise: torch.Tensor,
    steps: int,
    guidance: float,
    guide: Guide | None = None,
    scale: float = 0.0,
) -> torch.Tensor:
    """(n, c, h, w) latents of classes, from `noise` of this shape, by the pipeline's transformer and scheduler.

    `guidance`: scale of classifier-free guidance, 1 for none, 0 for the DiT without class; `scale`: of the guide's.
    """
    scheduler, model = pipeline.scheduler, pipeline.transformer
    scheduler.set_timesteps(steps, device=noise.device)
    latents: torch.Tensor = noise * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, time)
        times = time.expand(len(seen))
        said = _free(model, seen, times, wanted, guidance)
        if guide is not None and scale:
            assert wanted.guided is not None, "a guide has numbers of its own"
            gradient = guide.gradient(seen, times, wanted.guided)
            signal, share = signal_and_noise(scheduler, float(time))
            said = steered(said, gradient, scheduler.config.prediction_type, signal, share, scale)
        latents = scheduler.step(said, time, latents, return_dict=False)[0]
    return latents


def _free(model: Any, seen: torch.Tensor, times: torch.Tensor, wanted: Wanted, guidance: float) -> torch.Tensor:
    """Classifier-free guidance on all channels (DiT's own code guides three of four); a learnt variance is left out."""
    channels = seen.shape[1]

    def ask(classes: torch.Tensor) -> torch.Tensor:
        said: torch.Tensor = model(seen, timestep=times, class_labels=classes).sample[:, :channels]
        return said

    if guidance in (0, 1):
        return ask(wanted.classes if guidance else wanted.without)
    without = ask(wanted.without)
    return without + guidance * (ask(wanted.classes) - without)


def load_guide(name: str, pipeline: Any, drawn: str) -> Guide:
    """The classifier of a run, to steer what `pipeline`, loaded from `drawn`, draws.

    Raises NoSuchPathError; BadFieldError where the pipeline draws no classes; BadCheckpointError where the run holds no
    classifier, or one that reads other latents or other noise.
    """
    from diffusers import DPMSolverMultistepScheduler
    from transformers import ViTForImageClassification

    if not hasattr(pipeline, "get_label_ids"):
        raise BadFieldError(
            f"{drawn} draws captions, and a classifier guides what draws classes.", hint="Name a run of method dit."
        )
    folder = find_transformer(name)
    config = json.loads((folder / "config.json").read_text())
    if config.get("architectures") != ["ViTForImageClassification"] or not (folder.parent / SCHEDULER).is_dir():
        raise BadCheckpointError(f"{name} holds no classifier.", hint="Name a run whose recipe has method: classifier.")
    model: Any = ViTForImageClassification.from_pretrained(folder, dtype=torch.float32)
    kind: Any = DPMSolverMultistepScheduler
    learnt = kind.from_pretrained(folder.parent / SCHEDULER).config
    drawing, vaes = pipeline.scheduler.config, (_vae(find_transformer(drawn)), _vae(folder))
    wrong = []
    if _noising(learnt) != _noising(drawing):
        wrong.append("noises images another way (objective.kind, steps or zero_terminal_snr)")
    shape = pipeline.transformer.config.in_channels, pipeline.transformer.config.sample_size
    if (model.config.num_channels - 1, model.config.image_size) != shape:
        wrong.append("was trained at another resolution, or on latents of other channels")
    if None not in vaes and vaes[0] != vaes[1]:
        wrong.append("was trained on latents of another VAE")
    if wrong:
        raise BadCheckpointError(
            f"The classifier {name} does not fit {drawn}: it {'; it '.join(wrong)}.",
            hint="Train it by the DiT's own recipe, with method=classifier.",
        )
    numbers = {str(label): int(number) for number, label in model.config.id2label.items()}
    model.requires_grad_(False).eval().to(pipeline.device)
    return Guide(model, numbers, int(learnt.num_train_timesteps))


def _noising(config: Any) -> tuple[Any, ...]:
    """What decides how an image is noised; epsilon and v noise it alike."""
    if config.get("prediction_type") == "flow_prediction":
        return ("flow", config.get("flow_shift", 1.0))
    names = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "rescale_betas_zero_snr")
    return tuple(config.get(name) for name in names)


def _vae(transformer: Path) -> str | None:
    """The identity of the VAE that a run was trained with; None where the folder is no run's."""
    file = transformer.parent.parent / FILE
    return json.loads(file.read_text())["encoders"]["vae"] if file.is_file() else None


def class_numbers(pipeline: Any) -> dict[str, int]:
    """The numbers of a DiT pipeline's classes by name.

    ImageNet's names are lists of synonyms; diffusers takes them apart at commas and forgets the whole, so that a name
    with a comma would not be found. Here the whole name counts first, then each of its parts.
    """
    whole = {str(name): int(number) for number, name in (pipeline.config.get("id2label") or {}).items()}
    return {**pipeline.labels, **whole}


def number_of(name: str, numbers: dict[str, int], whose: str) -> int:
    """The number of a class. Raises BadFieldError where there is none of this name."""
    if name not in numbers:
        known = ", ".join(sorted(numbers)[:20]) + (" …" if len(numbers) > 20 else "")
        raise BadFieldError(f"{whose} knows no class {name}.", hint=f"Its classes: {known}.")
    return numbers[name]
