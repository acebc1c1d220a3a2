from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from analysis import rarefaction
from analysis.counts import NounCounts, measure
from analysis.density import Table, table_from_counts
from analysis.gates import Tally, check
from core.gates import Gates
from tests.analysis.plain_nouns import PlainNouns

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


def tally(flagged: int = 5, captions: int = 100, cut_off: int = 4, rejected: int = 25) -> Tally:
    return Tally(captions + rejected, rejected, captions, flagged, cut_off)


def failed(gates: Gates, table: Table = TABLE, told: Tally | None = None) -> list[str]:
    return [failure.gate for failure in check(gates, table, told or tally())]


def test_no_gates_pass_everything() -> None:
    assert failed(Gates()) == []
    assert failed(Gates(), EMPTY, tally(0, 0, 0, 0)) == []


def test_a_figure_at_its_threshold_passes_and_beyond_it_fails() -> None:
    assert failed(Gates(min_valid_share=0.25, min_nouns_per_image=20, max_flagged_share=0.05)) == []
    assert failed(Gates(min_valid_share=0.2501)) == ["min_valid_share"]
    assert failed(Gates(min_nouns_per_image=20.1)) == ["min_nouns_per_image"]
    assert failed(Gates(max_flagged_share=0.049)) == ["max_flagged_share"]
    assert failed(Gates(max_cut_off_share=0.04, max_rejected_share=0.2)) == []
    assert failed(Gates(max_cut_off_share=0.039)) == ["max_cut_off_share"]
    assert failed(Gates(max_rejected_share=0.199)) == ["max_rejected_share"]
    every = {"min_valid_share": 0.9, "min_nouns_per_image": 90, "max_flagged_share": 0}
    every |= {"max_cut_off_share": 0, "max_rejected_share": 0}
    assert failed(Gates.model_validate(every)) == list(every)


def test_a_failure_carries_figure_threshold_and_a_sentence_with_both() -> None:
    (failure,) = check(Gates(min_valid_share=0.3), TABLE, tally())
    assert (failure.figure, failure.threshold) == (0.25, 0.3)
    assert failure.sentence == "The valid share is 0.25, the gate asks for 0.3."
    (failure,) = check(Gates(max_rejected_share=0.1), TABLE, tally())
    assert (failure.figure, failure.threshold) == (0.2, 0.1)
    assert failure.sentence == "The share of rejected samples is 0.2, over 0.1."


def test_a_shard_without_captions_fails_what_asks_for_density() -> None:
    gates = Gates(min_valid_share=0.1, min_nouns_per_image=1, max_flagged_share=0, max_cut_off_share=0)
    assert failed(gates, EMPTY, tally(0, 0, 0, 7)) == ["min_valid_share", "min_nouns_per_image"]
    assert failed(Gates(max_rejected_share=0.99), EMPTY, tally(0, 0, 0, 7)) == ["max_rejected_share"]


# ---- the valid share at a number of images --------------------------------------------------------------------------

WORDS = [f"noun{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(200)]


def growing(images: int) -> NounCounts:
    """Captions of five nouns each, some far more frequent than others: more images have a higher valid share."""
    draw = random.Random(1)
    texts = [" ".join(WORDS[int(200 * draw.random() ** 2)] for _ in range(5)) for _ in range(images)]
    return measure(((str(number), text) for number, text in enumerate(texts)), PlainNouns())[0]


def test_the_valid_share_is_judged_at_the_number_of_images_that_is_asked_for() -> None:
    counts = growing(400)
    table, abundance = table_from_counts(counts), rarefaction.from_counts(counts)
    at_100 = rarefaction.at(abundance, 100).valid_share.value
    assert 0.02 < at_100 < 0.03 < 0.3 < table.valid_share
    for share, passes in ((at_100 - 0.01, True), (at_100 + 0.01, False)):
        gates = Gates(min_valid_share=share, valid_share_images=100)
        failures = check(gates, table, tally(), lambda: abundance)
        assert (failures == []) is passes
    assert (failures[0].gate, failures[0].figure) == ("min_valid_share", pytest.approx(at_100))
    assert failures[0].sentence.startswith("The valid share at 100 images is 0.")


def test_at_all_images_the_judged_share_is_that_of_the_table() -> None:
    counts = growing(150)
    table = table_from_counts(counts)
    gates = Gates(min_valid_share=1, valid_share_images=150)
    (failure,) = check(gates, table, tally(), lambda: rarefaction.from_counts(counts))
    assert failure.figure == pytest.approx(table.valid_share)


def test_a_data_set_of_fewer_images_fails_as_too_small_to_judge() -> None:
    (failure,) = check(Gates(min_valid_share=0, valid_share_images=10_000), TABLE, tally())
    assert (failure.gate, failure.threshold, failure.figure) == ("valid_share_images", 10_000, 100)
    assert failure.sentence == "The valid share is judged at 10,000 images; 100 are too few to judge."


def test_a_single_shard_is_not_asked_for_a_share_that_is_judged_at_a_number_of_images() -> None:
    gates = Gates(min_valid_share=0.9, valid_share_images=1000, max_flagged_share=0)
    assert failed(gates.of_shard()) == ["max_flagged_share"]
    assert Gates(min_valid_share=0.9).of_shard() == Gates(min_valid_share=0.9)


# ---- as they are written --------------------------------------------------------------------------------------------


def test_later_gates_are_written_only_where_they_are_set() -> None:
    assert Gates(min_valid_share=0.5).model_dump() == {
        "min_valid_share": 0.5,
        "min_nouns_per_image": None,
        "max_flagged_share": None,
    }
    later = Gates(max_rejected_share=0.5, max_cut_off_share=0)
    assert Gates.model_validate_json(later.model_dump_json()) == later
    assert later.model_dump(exclude_none=True) == {"max_rejected_share": 0.5, "max_cut_off_share": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_valid_share": 1.5},
        {"max_flagged_share": -1},
        {"min_density": 1},
        {"max_cut_off_share": 2},
        {"max_rejected_share": -0.1},
        {"min_valid_share": 0.5, "valid_share_images": 0},
        {"valid_share_images": 1000},
    ],
)
def test_gates_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Gates.model_validate(wrong)


def test_every_gate_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "density.md").read_text()
    section = page.split("\n## Gates\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Gates.model_fields)
