"""API keys: shown once, kept as hashes, revoked for good."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.errors import BadNameError, ConflictError, InputError, NotFoundError
from ledger import Ledger
from ledger.models import api_keys


def test_a_made_key_is_found_by_its_text_only(ledger: Ledger) -> None:
    assert ledger.any_keys() is False
    key, text = ledger.create_key("ann")
    assert ledger.any_keys() is True
    found = ledger.find_key(text)
    assert found is not None
    assert found.id == key.id
    for wrong in ("", text[:-1], text + "x", text.upper(), key.prefix, "nul\x00", "\ud800"):
        assert ledger.find_key(wrong) is None


def test_the_text_of_a_key_is_in_no_row(ledger: Ledger) -> None:
    _, text = ledger.create_key("ann")
    with ledger._db.read() as connection:
        (row,) = connection.execute(select(api_keys)).all()
    assert text not in repr(row)
    assert text[10:] not in repr(row)


def test_a_revoked_key_stays_revoked(ledger: Ledger) -> None:
    ledger.add_key("settings", "a-key-brought-from-outside")
    assert ledger.find_key("a-key-brought-from-outside") is not None
    assert ledger.revoke_key("settings") == 1
    ledger.add_key("settings", "a-key-brought-from-outside")
    assert ledger.find_key("a-key-brought-from-outside") is None
    assert ledger.any_keys() is False
    with pytest.raises(NotFoundError):
        ledger.revoke_key("settings")


def test_keys_are_revoked_by_name_or_by_shown_prefix(ledger: Ledger) -> None:
    ledger.create_key("ann")
    key, _ = ledger.create_key("bob")
    assert ledger.revoke_key("ann") == 1
    assert ledger.revoke_key(key.prefix) == 1
    assert all(key.revoked_at is not None for key in ledger.list_keys())
    ledger.create_key("ann")  # the name is free again


def test_the_use_of_a_key_is_noted_but_not_at_each_call(ledger: Ledger) -> None:
    _, text = ledger.create_key("ann")
    ledger.find_key(text)
    (key,) = ledger.list_keys()
    assert key.last_used_at is not None
    ledger.find_key(text)
    assert ledger.list_keys() == [key]


def test_keys_that_are_no_keys_are_refused(ledger: Ledger) -> None:
    ledger.create_key("ann")
    with pytest.raises(ConflictError):
        ledger.create_key("ann")
    with pytest.raises(InputError):
        ledger.add_key("short", "short")
    with pytest.raises(BadNameError):
        ledger.create_key("nul\x00")


def test_registering_the_same_key_twice_is_one_key(ledger: Ledger) -> None:
    key = ledger.add_key("settings", "a-key-brought-from-outside")
    assert ledger.add_key("other", "a-key-brought-from-outside") == key
    assert key.prefix == "a-key-"
