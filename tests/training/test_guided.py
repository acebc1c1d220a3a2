"""Guidance by a classifier: the formulas against a mixture whose truth is known, and the steps against diffusers'."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import BadFieldError
from tests.training.mixture import Judge, Mixture
from tests.training.small_encoders import small_vae
from training.guided import LEAST_SIGNAL, Guide, Wanted, draw_latents, steered
from training.models import Size, dit
from training.objective import Learning
from training.recipe import Objective
from training.sampling import Drawing, draw, use_scheduler

KINDS = ("epsilon", "v", "flow")
#: (signal, noise) of time 0.3 of a straight line, and of a noise schedule.
PLACES = {"flow": (0.7, 0.3), "epsilon": (0.8, 0.6), "v": (0.8, 0.6)}


def mixture(kind: str, **fields: Any) -> Mixture:
    """Three classes of 2 x 4 x 4 latents."""
    chance = torch.Generator().manual_seed(0)
    scheduler = Learning(Objective.model_validate({"kind": kind, **fields})).sampler()
    return Mixture(0.5 * torch.randn(3, 2, 4, 4, generator=chance), 0.3, scheduler)


def gradient(truth: Mixture, latents: torch.Tensor, classes: torch.Tensor, place: tuple[float, float]) -> torch.Tensor:
    """Of the true log-probability of the classes."""
    asked = latents.clone().requires_grad_()
    likely = truth.likely(asked, *place).log_softmax(1).gather(1, classes[:, None]).sum()
    return torch.autograd.grad(likely, asked)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_at_scale_one_the_guided_answer_is_that_of_the_class(kind: str) -> None:
    truth, place = mixture(kind), PLACES[kind]
    latents = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    free = truth.said(latents, torch.full_like(classes, 3), *place)
    expected = truth.said(latents, classes, *place)
    assert not torch.allclose(free, expected, atol=0.05)
    said = truth.scheduler.config.prediction_type
    found = steered(free, gradient(truth, latents, classes, place), said, *place, 1.0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_guided_flow_has_the_score_of_the_mixture_times_the_class_to_the_scale() -> None:
    truth, (signal, noise), scale = mixture("flow"), PLACES["flow"], 2.5
    latents = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
    classes = torch.tensor([0, 1, 2, 0])
    likely = truth.likely(latents, signal, noise)
    whole = likely.logsumexp(1) + scale * likely.log_softmax(1).gather(1, classes[:, None])[:, 0]
    (score,) = torch.autograd.grad(whole.sum(), latents)
    with torch.no_grad():
        free = truth.said(latents, torch.full_like(classes, 3), signal, noise)
    towards = gradient(truth, latents.detach(), classes, (signal, noise))
    found = steered(free, towards, "flow_prediction", signal, noise, scale)
    # x = (1 - t) x0 + t n: the noise in x is x + (1 - t) v, and the score is what takes it away.
    torch.testing.assert_close(-(latents.detach() + signal * found) / noise, score, atol=1e-4, rtol=1e-4)


def test_near_pure_noise_the_truth_goes_to_the_difference_of_means_and_the_bound_is_below_it() -> None:
    truth = mixture("flow")
    latents = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    classes, nothing = torch.tensor([1]), torch.zeros(1, 2, 4, 4)
    limit = truth.means[1] - truth.means.mean(0)
    for signal in (LEAST_SIGNAL, 1e-3, 1e-4):
        place = signal, 1 - signal
        towards = gradient(truth, latents, classes, place)
        change = -steered(nothing, towards, "flow_prediction", *place, 1.0)[0]
        share = min(1.0, signal / LEAST_SIGNAL)
        torch.testing.assert_close(change, share * limit, atol=0.2 * share, rtol=0)
    at_noise = steered(nothing, torch.ones_like(nothing), "flow_prediction", 0.0, 1.0, 1.0)
    assert at_noise.abs().max() == pytest.approx(1 / LEAST_SIGNAL), "a classifier that errs there cannot run away"


@pytest.mark.parametrize(
    ("fields", "scheduler", "near"),
    [
        ({"kind": "epsilon"}, "dpm++", 0.002),
        ({"kind": "epsilon"}, "ddim", 0.002),
        ({"kind": "epsilon"}, "euler", 0.002),
        ({"kind": "epsilon"}, "pndm", 0.02),
        # The first step, of nearly no signal, is steered less.
        ({"kind": "v"}, "ddim", 0.05),
        ({"kind": "v", "zero_terminal_snr": True}, "dpm++", 0.05),
        ({"kind": "flow"}, "dpm++", 0.05),
        ({"kind": "flow"}, "euler", 0.05),
    ],
)
def test_a_perfect_classifier_at_scale_one_draws_what_the_class_draws(
    fields: dict[str, Any], scheduler: str, near: float
) -> None:
    truth = mixture(**fields)
    pipeline = SimpleNamespace(transformer=truth, scheduler=truth.scheduler)
    use_scheduler(pipeline, scheduler)
    guide = Guide(Judge(truth), {}, truth.scheduler.config.num_train_timesteps)
    classes = torch.tensor([0, 1, 2] * 4)
    wanted = Wanted(classes, torch.full_like(classes, 3), classes)
    noise = torch.randn(12, 2, 4, 4, generator=torch.Generator().manual_seed(4))
    by_class = draw_latents(pipeline, wanted, noise, 20, 1.0)
    guided = draw_latents(pipeline, wanted, noise, 20, 0.0, guide, 1.0)
    free = draw_latents(pipeline, wanted, noise, 20, 0.0)
    assert (guided - by_class).abs().max() < near
    assert (free - by_class).abs().max() > 0.2
    assert (by_class - truth.means[classes]).std() == pytest.approx(0.3, abs=0.12), "and it draws from the class"


def test_both_guidances_add_up() -> None:
    truth = mixture("flow")
    pipeline = SimpleNamespace(transformer=truth, scheduler=truth.scheduler)
    guide = Guide(Judge(truth), {}, truth.scheduler.config.num_train_timesteps)
    classes = torch.tensor([2])
    wanted = Wanted(classes, torch.tensor([3]), classes)
    noise = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(5))
    one, other, both = (
        draw_latents(pipeline, wanted, noise, 20, *scales) for scales in ((3.0,), (1.0, guide, 2.0), (2.0, guide, 1.0))
    )
    # For a perfect DiT and a perfect classifier a scale of one is worth a scale of the other.
    torch.testing.assert_close(one, other, atol=0.05, rtol=0)
    torch.testing.assert_close(one, both, atol=0.05, rtol=0)


@pytest.fixture(scope="module")
def small_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A DiTPipeline of random weights that learnt epsilon, of the classes cat and dog."""
    from diffusers import AutoencoderKL, DiTPipeline

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model: Any = dit(Size(2, 2, 8, side=8), 2)
    model.eval()
    for part in (model.proj_out_1, model.proj_out_2, model.transformer_blocks[0].norm1.linear):
        torch.nn.init.normal_(part.weight, std=0.3)
    kinds: Any = AutoencoderKL, DiTPipeline
    vae = kinds[0].from_pretrained(small_vae(tmp_path_factory.mktemp("vae")))
    scheduler = Learning(Objective(kind="epsilon")).sampler()
    made = kinds[1](model, vae, scheduler, id2label={0: "cat", 1: "dog"})
    made.set_progress_bar_config(disable=True)
    return made


def test_without_guidance_the_pictures_are_those_of_diffusers_own_pipeline(small_pipeline: Any) -> None:
    drawings = [Drawing(name, seed, 4, 1.0, "ddim", 32, 32) for name, seed in (("dog", 7), ("cat", 8))]
    ours = [image for _, image in draw(small_pipeline, drawings)]
    chance = [torch.Generator().manual_seed(seed) for seed in (7, 8)]
    theirs = small_pipeline([1, 0], guidance_scale=1.0, generator=chance, num_inference_steps=4).images
    assert [image.tobytes() for image in ours] == [image.tobytes() for image in theirs]
    other = next(draw(small_pipeline, [Drawing("cat", 7, 4, 1.0, "ddim", 32, 32)]))[1]
    assert other.tobytes() != ours[0].tobytes()


def test_the_class_is_guided_away_from_another_or_from_none(small_pipeline: Any) -> None:
    away = {
        negative: next(draw(small_pipeline, [Drawing("dog", 7, 4, 3.0, "ddim", 32, 32, negative)]))[1].tobytes()
        for negative in ("", "cat", "dog")
    }
    assert len(set(away.values())) == 3
    plain = next(draw(small_pipeline, [Drawing("dog", 7, 4, 1.0, "ddim", 32, 32)]))[1]
    assert away["dog"] == plain.tobytes(), "away from itself is nowhere"


@pytest.mark.parametrize(
    ("drawing", "says"),
    [
        (Drawing("bird", 0, width=32, height=32), "knows no class bird"),
        (Drawing("dog", 0, width=32, height=32, negative="bird"), "knows no class bird"),
        (Drawing("dog", 0, width=64, height=32), "draws 32 x 32"),
    ],
)
def test_what_a_dit_cannot_draw_is_one_sentence(small_pipeline: Any, drawing: Drawing, says: str) -> None:
    with pytest.raises(BadFieldError, match=says):
        next(draw(small_pipeline, [drawing]))


def test_a_scheduler_that_knows_no_zero_terminal_snr_is_refused() -> None:
    learnt = Learning(Objective(kind="v", zero_terminal_snr=True)).sampler()
    for name in ("pndm", "lms"):
        with pytest.raises(BadFieldError, match="does not know it"):
            use_scheduler(SimpleNamespace(scheduler=learnt), name)


def test_euler_of_a_flow_goes_straight_from_step_to_step() -> None:
    truth = mixture("flow")
    pipeline = SimpleNamespace(transformer=truth, scheduler=truth.scheduler)
    use_scheduler(pipeline, "euler")
    classes = torch.tensor([0, 1])
    noise = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(6))
    found = draw_latents(pipeline, Wanted(classes, torch.full_like(classes, 3)), noise, 5, 1.0)
    latents, shares = noise, pipeline.scheduler.sigmas.tolist()
    for time, share, following in zip(pipeline.scheduler.timesteps, shares[:-1], shares[1:], strict=True):
        velocity = truth(latents, timestep=time[None], class_labels=classes).sample
        latents = latents + (following - share) * velocity
    torch.testing.assert_close(found, latents, atol=1e-4, rtol=1e-4)
