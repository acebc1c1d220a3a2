"""What a model can draw is known before it draws; how many tokens it reads is its lineage's word."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import BadFieldError
from training.drawable import check, hears_negative, side_of, tokens_of


def pipeline(blocks: int = 4, patch: int = 2, folder: Path | None = None, **more: Any) -> Any:
    """What is looked at of a pipeline: a VAE that halves sides `blocks` - 1 times, and a model of patches."""
    return SimpleNamespace(
        vae=SimpleNamespace(config=SimpleNamespace(block_out_channels=(8,) * blocks)),
        transformer=SimpleNamespace(config=SimpleNamespace(sample_size=32, patch_size=patch)),
        config={"_name_or_path": str(folder)} if folder else {},
        **more,
    )


@pytest.mark.parametrize(
    ("blocks", "width", "nearest"), [(4, 264, "256 or 272"), (4, 8, "16"), (3, 44, "40 or 48"), (1, 12, "8 or 16")]
)
def test_a_side_that_the_patches_do_not_divide_is_refused_with_the_nearest(
    blocks: int, width: int, nearest: str
) -> None:
    with pytest.raises(BadFieldError, match=f"a width of {width} pixels") as caught:
        check(pipeline(blocks), width, 256, 4.5)
    assert caught.value.hint == f"Nearest: {nearest}."
    with pytest.raises(BadFieldError, match=f"a height of {width} pixels"):
        check(pipeline(blocks), 256, width, 4.5)
    check(pipeline(blocks), 256, 272, 4.5)


@pytest.mark.parametrize("guidance", [float("nan"), float("inf"), -1.0, 0.0, 0.99])
def test_guidance_that_would_be_another_in_silence_is_refused(guidance: float) -> None:
    with pytest.raises(BadFieldError, match="guidance"):
        check(pipeline(), 256, 256, guidance)


def test_classes_have_all_scales_and_one_size() -> None:
    dit = pipeline(get_label_ids=None)
    assert side_of(dit) == 256
    for guidance in (0.0, 0.5, 4.0):
        check(dit, 256, 256, guidance, 2.0)
    with pytest.raises(BadFieldError, match="draws 256 x 256"):
        check(dit, 512, 256, 1.0)
    with pytest.raises(BadFieldError, match="classifier"):
        check(dit, 256, 256, 1.0, float("nan"))
    assert [hears_negative(dit, scale) for scale in (0, 0.5, 1, 2)] == [True, True, False, True]
    assert [hears_negative(pipeline(), scale) for scale in (1, 2)] == [False, True]


@pytest.mark.parametrize("inside", [True, False])
def test_tokens_are_those_of_the_lineage_in_the_folder_or_beside_it(tmp_path: Path, inside: bool) -> None:
    folder = tmp_path / "pipeline"
    folder.mkdir()
    assert tokens_of(pipeline(folder=folder)) == 120
    lineage = (folder if inside else tmp_path) / "lineage.json"
    lineage.write_text(json.dumps({"recipe": {"captions": {"tokens": 77}}}))
    assert tokens_of(pipeline(folder=folder)) == 77
    assert tokens_of(pipeline()) == 120
