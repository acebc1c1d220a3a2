"""Logs: secrets never reach them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from core.logs import configure, get_logger, mask_secrets, mask_url


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored")
def test_a_line_is_one_json_object_with_module_and_time_and_libraries_keep_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("INFO", json_lines=True)
    get_logger("here").info("stored", shard="a", url="s3://key:secret@bucket/x")
    logging.getLogger("alembic.runtime").info("talk")
    logging.getLogger("somebody").warning("plain")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["module"], first["url"]) == ("stored", "here", "s3://***@bucket/x")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("plain", "warning")


def test_credentials_in_urls_are_masked() -> None:
    assert mask_url("redis://user:secret@host:6379/0") == "redis://***@host:6379/0"
    assert mask_url("no url here, mail@host") == "no url here, mail@host"


def test_values_under_secret_names_are_masked() -> None:
    event = mask_secrets(None, "", {"api_key": "dk_x", "Authorization": "Bearer y", "url": "s3://k:s@b", "n": 3})
    assert event == {"api_key": "***", "Authorization": "***", "url": "s3://***@b", "n": 3}
