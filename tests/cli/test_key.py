"""API keys from the command line: shown once, stored as hashes, revocable."""

from __future__ import annotations

import json
from pathlib import Path

from core.settings import Settings
from ledger import Ledger
from tests.cli.conftest import Densify


def test_a_key_is_printed_alone_and_works(densify: Densify, tmp_path: Path) -> None:
    result = densify("key", "create", "anna")
    assert result.exit_code == 0
    (key_text,) = result.stdout.splitlines()
    ledger = Ledger(Settings(data=str(tmp_path / "data")).ledger_url)
    try:
        found = ledger.find_key(key_text)
        assert found is not None
        assert found.name == "anna"
    finally:
        ledger.close()
    assert key_text.encode() not in b"".join(file.read_bytes() for file in (tmp_path / "data").glob("ledger*"))


def test_keys_are_listed_and_revoked_by_name(densify: Densify) -> None:
    key_text = densify("key", "create", "anna").stdout.strip()
    listed = densify("key", "list").stdout
    assert "anna" in listed
    assert key_text not in listed
    assert densify("key", "revoke", "anna").stdout == "revoked 1 key of anna\n"
    (item,) = json.loads(densify("key", "list", "--json").stdout)["items"]
    assert item["revoked_at"] is not None


def test_revoking_a_name_that_is_unknown_is_told(densify: Densify) -> None:
    result = densify("key", "revoke", "nobody")
    assert result.exit_code == 2
    assert "nobody" in result.stderr
