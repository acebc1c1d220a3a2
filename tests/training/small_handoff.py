"""A hand-off small enough for a test, with samples held out for validation, and encoders that fit it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.handoff_build import make_handoff, publish
from shards.handoff import SplitRule
from shards.store import open_store
from tests.analysis.make_handoff import SPEC, captioned_shard
from tests.training.small_encoders import TEXT, small_text_encoder, small_vae
from training.models import SIZES, Size

KEYS = {"a": [f"a/{number:04d}" for number in range(10)], "b": [f"b/{number:04d}" for number in range(8)]}
#: Classes of the samples, in turn.
LABELS = ("boat", "cat")


@contextmanager
def small_size() -> Iterator[None]:
    """While it lasts, `model.size: small` is a model of two blocks; torch has one thread."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "small", Size(2, 2, 8, text=TEXT, side=8))
        yield


def world(folder: Path, validation_share: float = 0.3) -> dict[str, Path]:
    """`handoff`: the manifest of eighteen samples, `vae`, `texts`: folders of small encoders."""
    store = open_store(str(folder / "store"))
    shards = [
        captioned_shard(store, name, keys, first=100 * number, labels=[LABELS[at % 2] for at in range(len(keys))])
        for number, (name, keys) in enumerate(KEYS.items())
    ]
    splits = SplitRule(validation_share=validation_share)
    manifest = store.path(publish(store, make_handoff(store, "birds", SPEC, shards, splits=splits)))
    assert manifest is not None
    return {"handoff": manifest, "vae": small_vae(folder / "vae"), "texts": small_text_encoder(folder / "t5")}


def held_out(validation_share: float = 0.3) -> list[str]:
    """Keys of the validation split."""
    rule = SplitRule(validation_share=validation_share)
    return [key for keys in KEYS.values() for key in keys if rule.split_of(key) == "validation"]


def sections(world: dict[str, Path], **changes: Any) -> dict[str, Any]:
    """A recipe of four steps of four images at 32 pixels, of the size `small`, ready for YAML."""
    found: dict[str, Any] = {
        "method": "pixart",
        "data": {"handoff": str(world["handoff"]), "resolution": 32},
        "captions": {"dropout": 0.2, "tokens": 6},
        "model": {"size": "small", "vae": str(world["vae"]), "text_encoder": str(world["texts"])},
        "objective": {"times": "logit_normal"},
        "optimiser": {"rate": 1e-3},
        "run": {"steps": 4, "batch": 4, "ema": 0.5, "log_every": 1, "save_every": 2, "seed": 3},
    }
    for name, fields in changes.items():
        found[name] = found.get(name, {}) | fields if isinstance(fields, dict) else fields
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]
