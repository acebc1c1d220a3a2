"""Data sets: one name, one spec, for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import BadNameError, DatasetExistsError, NoSuchDatasetError
from core.spec import CaptionSpec
from ledger import Ledger
from tests.ledger.helpers import SPEC


def test_the_same_name_with_the_same_spec_is_the_same_data_set(ledger: Ledger) -> None:
    made = ledger.create_dataset("d", SPEC, {"min_valid_share": 0.1})
    assert ledger.create_dataset("d", SPEC, {"min_valid_share": 0.1}) == made == ledger.get_dataset("d")
    assert made.spec == SPEC
    assert made.gates == {"min_valid_share": 0.1}
    assert abs(made.created_at - ledger.now()) < 60


def test_the_same_name_with_another_spec_or_other_gates_is_refused(ledger: Ledger) -> None:
    ledger.create_dataset("d", SPEC)
    with pytest.raises(DatasetExistsError):
        ledger.create_dataset("d", CaptionSpec(model="another"))
    with pytest.raises(DatasetExistsError):
        ledger.create_dataset("d", SPEC, {"min_valid_share": 0.1})


def test_eight_that_make_one_data_set_at_once_get_the_same(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ledger.create_dataset("d", SPEC), range(8)))
    assert len({dataset.id for dataset in made}) == 1


def test_pages_show_every_data_set_once(ledger: Ledger) -> None:
    for name in ("b", "C", "a", "é"):
        ledger.create_dataset(name, SPEC)
    first, cursor = ledger.list_datasets(limit=2)
    rest, end = ledger.list_datasets(cursor, 2)
    assert [dataset.name for dataset in first + rest] == ["C", "a", "b", "é"]
    assert end is None


def test_unknown_and_impossible_names_are_told_apart(ledger: Ledger) -> None:
    with pytest.raises(NoSuchDatasetError):
        ledger.get_dataset("nothing")
    with pytest.raises(BadNameError):
        ledger.create_dataset("nul\x00", SPEC)
    for call in (ledger.list_shards, ledger.list_rejects, ledger.list_handoffs):
        with pytest.raises(NoSuchDatasetError):
            call("nothing")
    for count in (ledger.progress, ledger.audit):
        with pytest.raises(NoSuchDatasetError):
            count("nothing")
