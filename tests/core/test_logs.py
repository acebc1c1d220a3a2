"""Logs: secrets never reach them."""

from __future__ import annotations

from core.logs import mask_secrets, mask_url


def test_credentials_in_urls_are_masked() -> None:
    assert mask_url("redis://user:secret@host:6379/0") == "redis://***@host:6379/0"
    assert mask_url("no url here, mail@host") == "no url here, mail@host"


def test_values_under_secret_names_are_masked() -> None:
    event = mask_secrets(None, "", {"api_key": "dk_x", "Authorization": "Bearer y", "url": "s3://k:s@b", "n": 3})
    assert event == {"api_key": "***", "Authorization": "***", "url": "s3://***@b", "n": 3}
