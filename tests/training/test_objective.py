"""Objectives: the right target at the right time step, weights as published, a variance that can be learnt."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from benchmarks.ideal_brightness import Brightness
from training.objective import Learning
from training.recipe import Objective
from training.task import generators


def learning(**fields: object) -> Learning:
    return Learning(Objective.model_validate(fields))


def test_flow_goes_straight_from_image_to_noise_and_says_its_direction() -> None:
    clean, noise = torch.zeros(3, 4, 2, 2), torch.ones(3, 4, 2, 2)
    found = learning().noised(clean, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert found.latents[:, 0, 0, 0].tolist() == [0.0, 0.25, 1.0]
    assert found.times.tolist() == [0.0, 250.0, 1000.0]
    assert torch.equal(found.target, noise - clean)


def test_epsilon_follows_the_linear_betas_of_dit_and_pixart() -> None:
    made = learning(kind="epsilon")
    betas = torch.linspace(0.0001, 0.02, 1000, dtype=torch.float64)
    kept = torch.cumprod(1 - betas, 0)
    clean, noise = torch.full((2, 1, 1, 1), 2.0), torch.full((2, 1, 1, 1), -1.0)
    found = made.noised(clean, noise, torch.tensor([0.0, 0.5]))
    assert found.times.tolist() == [0, 500]
    for at, time in enumerate((0, 500)):
        expected = kept[time].sqrt() * 2 - (1 - kept[time]).sqrt()
        assert found.latents[at].item() == pytest.approx(float(expected), abs=1e-5)
    assert torch.equal(found.target, noise)


@pytest.mark.parametrize("steps", [100, 250, 1000, 4000])
def test_any_number_of_steps_ends_in_noise_in_training_and_in_what_is_saved(steps: int) -> None:
    made = learning(kind="epsilon", steps=steps)
    left = float(made.schedule.alphas_cumprod[-1])
    # DDPM's 1,000 leave 4e-5 of the image's energy; unscaled, 250 would leave 8 %.
    assert 1e-5 < left < 5e-5
    sampler: Any = made.sampler()
    assert float(sampler.alphas_cumprod[-1]) == pytest.approx(left, rel=1e-3)
    assert float(made.schedule.betas[-1]) == pytest.approx(0.02 * 1000 / steps)
    last = made.noised(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.tensor([1.0]))
    assert last.times.tolist() == [steps - 1]


def test_v_is_the_velocity_and_zero_terminal_snr_leaves_nothing_of_the_image() -> None:
    made = learning(kind="v", zero_terminal_snr=True)
    clean, noise = torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), -1.0)
    last = made.noised(clean, noise, torch.tensor([0.9999]))
    assert last.times.tolist() == [999]
    assert last.latents.item() == pytest.approx(-1.0, abs=1e-4)
    assert last.target.item() == pytest.approx(-3.0, abs=1e-4)
    plain = learning(kind="v").noised(clean, noise, torch.tensor([0.9999]))
    assert abs(plain.latents.item() + 1.0) > 0.01, "without it some of the image is left"


@pytest.mark.parametrize("kind", ["epsilon", "v"])
def test_min_snr_weighs_as_published(kind: str) -> None:
    made = learning(kind=kind, min_snr=5.0)
    clean = torch.zeros(2, 1, 1, 1)
    found = made.noised(clean, clean, torch.tensor([0.01, 0.9]))
    kept = made.schedule.alphas_cumprod[found.times]
    snr = kept / (1 - kept)
    assert snr[0] > 5 > snr[1]
    expected = torch.stack([5 / snr[0], snr[1] / snr[1]]) if kind == "epsilon" else snr.clamp(max=5) / (snr + 1)
    torch.testing.assert_close(found.weights, expected)


def test_min_snr_leaves_the_step_where_drawing_begins_its_weight_at_zero_terminal_snr() -> None:
    zero, plain = (learning(kind="v", min_snr=5.0, zero_terminal_snr=zero) for zero in (True, False))
    clean = torch.zeros(3, 1, 1, 1)
    found = zero.noised(clean, clean, torch.tensor([0.1, 0.9, 1.0]))
    assert found.times.tolist() == [100, 900, 999]
    kept = zero.schedule.alphas_cumprod[found.times]
    snr = kept / (1 - kept)
    assert snr[2] < 1e-6
    torch.testing.assert_close(found.weights, torch.cat([(snr.clamp(max=5) / (snr + 1))[:2], torch.ones(1)]))
    assert plain.noised(clean, clean, torch.tensor([0.1, 0.9, 1.0])).weights[2] < 1e-4, "as published"


def test_an_image_meets_the_same_noise_whatever_stands_beside_it() -> None:
    made = learning(kind="epsilon", offset_noise=0.1)
    shape = torch.Size((4, 4, 8, 8))
    noise, places = made.draw(shape, generators(1, 7, 0, 4))
    alone, place = made.draw(torch.Size((1, 4, 8, 8)), generators(1, 7, 2, 1))
    assert torch.equal(alone[0], noise[2])
    assert torch.equal(place[0], places[2])
    other, _ = made.draw(shape, generators(1, 8, 0, 4))
    assert not torch.equal(other, noise)


def test_offset_noise_moves_a_channel_as_a_whole() -> None:
    shape = torch.Size((64, 4, 16, 16))
    plain, _ = learning(kind="epsilon").draw(shape, generators(0, 0, 0, 64))
    moved, _ = learning(kind="epsilon", offset_noise=0.5).draw(shape, generators(0, 0, 0, 64))
    # A mean of 256 values deviates by 1/16; the offset adds its own.
    assert float(plain.mean((2, 3)).std()) == pytest.approx(1 / 16, rel=0.2)
    assert float(moved.mean((2, 3)).std()) == pytest.approx(math.hypot(1 / 16, 0.5), rel=0.2)


def test_logit_normal_times_are_in_the_middle_more_often() -> None:
    shape, chance = torch.Size((2000, 1, 1, 1)), generators(0, 0, 0, 2000)
    _, middle = learning(times="logit_normal").draw(shape, chance)
    _, even = learning().draw(shape, generators(0, 1, 0, 2000))
    assert float(((middle > 0.25) & (middle < 0.75)).float().mean()) == pytest.approx(0.728, abs=0.04)
    assert float(((even > 0.25) & (even < 0.75)).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_the_hybrid_loss_is_least_at_the_true_noise_and_the_true_variance() -> None:
    made = learning(kind="epsilon", learn_sigma=True)
    clean = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    noise, _ = made.draw(clean.shape, generators(0, 0, 0, 4))
    batch = made.noised(clean, noise, torch.tensor([0.0, 0.2, 0.5, 0.9]))
    truth = torch.cat([noise, torch.full_like(noise, -1.0)], 1)
    best = made.loss(truth, batch, clean)
    assert best[1:].max() < 1e-4, "with the true mean and the posterior's variance nothing is left but rounding"
    assert (made.loss(torch.cat([noise + 0.3, truth[:, 4:]], 1), batch, clean)[1:] > best[1:] + 0.08).all()
    widest = made.loss(torch.cat([noise, torch.ones_like(noise)], 1), batch, clean)
    assert widest[1] > best[1], "late steps have nearly the same variance at both ends"


def test_the_variational_term_teaches_the_variance_alone() -> None:
    made = learning(kind="epsilon", learn_sigma=True)
    clean = torch.zeros(2, 4, 4, 4)
    noise, _ = made.draw(clean.shape, generators(0, 0, 0, 2))
    batch = made.noised(clean, noise, torch.tensor([0.3, 0.6]))
    said = torch.cat([noise, torch.zeros_like(noise)], 1).requires_grad_()
    made.loss(said, batch, clean).sum().backward()
    assert said.grad is not None
    assert not said.grad[:, :4].any(), "at the true noise the squared error has no gradient, and the other gives none"
    assert said.grad[:, 4:].any()


@pytest.mark.parametrize("values", [4096, 16384])
def test_dark_images_are_drawn_dark_with_zero_terminal_snr_alone(values: int) -> None:
    dark_and_bright, data = torch.tensor([-1.0, 0.0, 1.0]), Brightness(values)
    plain, zero = learning(kind="v"), learning(kind="v", zero_terminal_snr=True)
    signal = float(plain.schedule.alphas_cumprod[-1].sqrt())
    missed = data.reached(plain, dark_and_bright, 50)
    # The closed form of a perfect sampler, and what is lost for certain.
    assert missed[0] == pytest.approx(data.expected(-1.0, signal), abs=0.02)
    assert missed[0] > -0.93, "pulled to zero"
    assert missed[2] == pytest.approx(-float(missed[0]))
    reached = data.reached(zero, dark_and_bright, 50)
    assert reached.tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=0.01)
    sampler: Any = zero.sampler()
    assert sampler.config.timestep_spacing == "trailing"


def test_min_snr_is_in_the_loss_and_off_where_no_gamma_is_named() -> None:
    clean = torch.zeros(2, 1, 2, 2)
    for gamma in (None, 5.0):
        made = learning(kind="epsilon", min_snr=gamma)
        batch = made.noised(clean, torch.ones_like(clean), torch.tensor([0.01, 0.9]))
        losses = made.loss(batch.target + 2, batch, clean)
        expected = torch.ones(2) if gamma is None else batch.weights
        torch.testing.assert_close(losses, 4 * expected)
    assert losses[0] < 4, "an image with little noise weighs less"
    assert losses[1] == 4


def test_min_snr_weighs_a_guess_of_the_image_the_same_by_epsilon_and_by_v() -> None:
    # A mistake d of the image is one of d sqrt(SNR) of epsilon and of d sqrt(SNR + 1) of v.
    places, weighed = torch.tensor([0.01, 0.2, 0.9]), {}
    for kind, more in (("epsilon", 0.0), ("v", 1.0)):
        made = learning(kind=kind, min_snr=5.0)
        batch = made.noised(torch.zeros(3, 1, 1, 1), torch.zeros(3, 1, 1, 1), places)
        kept = made.schedule.alphas_cumprod[batch.times]
        weighed[kind] = batch.weights * (kept / (1 - kept) + more)
        torch.testing.assert_close(weighed[kind], (kept / (1 - kept)).clamp(max=5))
    torch.testing.assert_close(weighed["epsilon"], weighed["v"])


def test_offset_noise_is_what_the_model_is_to_say() -> None:
    made = learning(kind="epsilon", offset_noise=0.5)
    clean = torch.zeros(1, 4, 16, 16)
    noise, places = made.draw(clean.shape, generators(0, 0, 0, 1))
    batch = made.noised(clean, noise, places)
    assert torch.equal(batch.target, noise), "offset and all: it is no noise beside the noise"
    assert noise.mean((2, 3)).abs().max() > 0.3


@pytest.mark.parametrize(
    "fields",
    [
        {"min_snr": 5.0},
        {"offset_noise": 0.1},
        {"zero_terminal_snr": True},
        {"kind": "epsilon", "zero_terminal_snr": True},
        {"kind": "v", "learn_sigma": True},
        {"kind": "v", "times": "logit_normal"},
        {"kind": "epsilon", "steps": 20},
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"flow|kind to|set times|greater than or equal to 100"):
        learning(**fields)
