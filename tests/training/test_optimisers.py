"""Optimisers: which weights decay, which are Muon's, and what is said where a package is missing."""

from __future__ import annotations

import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from core.errors import MissingPackageError
from training.classifier import classifier
from training.models import Size, dit, pixart
from training.optimisers import optimisers
from training.recipe import Optimiser, Recipe

SIZE = Size(2, 2, 8, text=12, side=8)


def names(model: nn.Module, groups: list[dict[str, object]]) -> set[str]:
    """The weights in these groups, by name."""
    of = {id(each): name for name, each in model.named_parameters()}
    return {of[id(each)] for group in groups for each in group["params"]}  # type: ignore[attr-defined]


def models() -> list[nn.Module]:
    return [pixart(SIZE), dit(SIZE, 5), classifier(SIZE, 5)]


@pytest.mark.parametrize("model", models(), ids=["pixart", "dit", "classifier"])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_matrices_decay_and_vectors_norms_tables_and_embeddings_do_not(model: nn.Module, name: str) -> None:
    groups = [g for each in optimisers(model, Optimiser(name=name)) for g in each.param_groups]  # type: ignore[arg-type]
    decayed = names(model, [group for group in groups if group["weight_decay"]])
    tables = ("scale_shift_table", "embedding_table.weight", "position_embeddings", "cls_token", "bias")
    assert not [each for each in decayed if each.endswith(tables)]
    kinds = nn.Linear | nn.Conv2d
    assert decayed == {f"{each}.weight" for each, module in model.named_modules() if isinstance(module, kinds)}
    assert names(model, groups) == {each for each, _ in model.named_parameters()}, "all of them move"


def test_a_table_that_has_no_gradient_keeps_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pixart(SIZE)
    moved = optimisers(model, Optimiser(rate=0.1, weight_decay=0.5))
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    for each in model.parameters():
        each.grad = torch.zeros_like(each)
    for each in moved:
        each.step()
    for name, each in model.named_parameters():
        if name.endswith("scale_shift_table"):
            assert torch.equal(each, before[name])
        elif name.endswith("to_q.weight"):
            assert not torch.equal(each, before[name])


@pytest.mark.parametrize("model", models()[:2], ids=["pixart", "dit"])
def test_muon_moves_the_matrices_of_the_blocks_and_embeds_nothing(model: nn.Module) -> None:
    _, muon = optimisers(model, Optimiser(name="muon"))
    found = names(model, muon.param_groups)
    assert all(each.startswith("transformer_blocks.") and each.endswith(".weight") for each in found)
    assert not [each for each in found if "embed" in each]
    assert {f"transformer_blocks.1.{part}.weight" for part in ("attn1.to_q", "ff.net.0.proj", "ff.net.2")} <= found


def test_a_missing_bitsandbytes_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(MissingPackageError, match="needs the package bitsandbytes") as caught:
        optimisers(pixart(SIZE), Optimiser(name="adamw8bit"))
    assert "set optimiser.name to adamw" in caught.value.hint


def test_muon_and_fp16_are_refused_together() -> None:
    fields = {"method": "pixart", "data": {"handoff": "none"}, "run": {"steps": 1, "batch": 1, "precision": "fp16"}}
    Recipe.model_validate(fields)
    with pytest.raises(ValidationError, match=r"muon does not go with fp16: set run\.precision to bf16"):
        Recipe.model_validate(fields | {"optimiser": {"name": "muon"}})
