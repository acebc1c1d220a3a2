from __future__ import annotations

import pytest
from pydantic import ValidationError

from analysis.density import Table
from analysis.gates import Gates, check

TABLE = Table(
    images=100,
    total_nouns=2000,
    distinct_nouns=200,
    valid_nouns=50,
    valid_nouns_over=40,
    min_count=10,
    noun_pipeline="plain-1",
)
EMPTY = Table(0, 0, 0, 0, 0, 10, "plain-1")


def failed(gates: Gates, table: Table = TABLE, flagged: int = 5, captioned: int = 100) -> list[str]:
    return [failure.gate for failure in check(gates, table, flagged, captioned)]


def test_no_gates_pass_everything() -> None:
    assert failed(Gates()) == []
    assert failed(Gates(), EMPTY, 0, 0) == []


def test_a_figure_at_its_threshold_passes_and_beyond_it_fails() -> None:
    assert failed(Gates(min_valid_share=0.25, min_nouns_per_image=20, max_flagged_share=0.05)) == []
    assert failed(Gates(min_valid_share=0.2501)) == ["min_valid_share"]
    assert failed(Gates(min_nouns_per_image=20.1)) == ["min_nouns_per_image"]
    assert failed(Gates(max_flagged_share=0.049)) == ["max_flagged_share"]
    every = Gates(min_valid_share=0.9, min_nouns_per_image=90, max_flagged_share=0)
    assert failed(every) == ["min_valid_share", "min_nouns_per_image", "max_flagged_share"]


def test_a_failure_carries_figure_threshold_and_a_sentence_with_both() -> None:
    (failure,) = check(Gates(min_valid_share=0.3), TABLE, 0, 100)
    assert (failure.figure, failure.threshold) == (0.25, 0.3)
    assert failure.sentence == "The valid share is 0.25, the gate asks for 0.3."


def test_a_shard_without_captions_fails_what_asks_for_density() -> None:
    assert failed(Gates(min_valid_share=0.1, min_nouns_per_image=1, max_flagged_share=0), EMPTY, 0, 0) == [
        "min_valid_share",
        "min_nouns_per_image",
    ]


@pytest.mark.parametrize("wrong", [{"min_valid_share": 1.5}, {"max_flagged_share": -1}, {"min_density": 1}])
def test_gates_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Gates.model_validate(wrong)
