"""The error tree: every code once, every error tells what to do with it."""

from __future__ import annotations

import pickle

import pytest

from core.errors import CheckFailedError, DensifyError, InputError, ServiceError, ShardCorruptError, tree

KINDS = list(tree())


def test_every_code_stands_for_one_meaning() -> None:
    by_code: dict[str, set[int]] = {}
    for kind in KINDS:
        by_code.setdefault(kind.code, set()).add(kind.status)
    assert all(len(statuses) == 1 for statuses in by_code.values()), by_code


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_status_and_exit_code_follow_the_branch(kind: type[DensifyError]) -> None:
    assert kind.code == kind.code.lower()
    if issubclass(kind, InputError):
        assert (400 <= kind.status < 500, kind.exit_code) == (True, 2)
    elif issubclass(kind, CheckFailedError):
        assert (400 <= kind.status < 500, kind.exit_code) == (True, 1)
    elif issubclass(kind, ServiceError):
        assert (500 <= kind.status < 600, kind.exit_code) == (True, 1)


def test_an_error_survives_pickling_with_sentence_hint_and_details() -> None:
    error = pickle.loads(pickle.dumps(ShardCorruptError("bad at 512", hint="again", offset=512)))
    assert (type(error), error.sentence, error.hint, error.details) == (
        ShardCorruptError,
        "bad at 512",
        "again",
        {"offset": 512},
    )
