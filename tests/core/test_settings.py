"""Settings: typed, read from DENSIFY_*, wrong values named."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingError
from core.settings import Settings, get_settings
from core.spec import DEMO_MODEL


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    get_settings.cache_clear()


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_LEASE_S", "soon")
    with pytest.raises(SettingError) as caught:
        get_settings()
    assert "DENSIFY_LEASE_S" in caught.value.sentence
    get_settings.cache_clear()


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_INGEST_ALLOW", "s3://a/, file:///data/ ,")
    assert Settings().ingest_allow == ["s3://a/", "file:///data/"]


def test_the_ledger_lies_in_the_data_folder_unless_named(tmp_path: Path) -> None:
    assert Settings(data=str(tmp_path)).ledger_url == f"sqlite:///{tmp_path}/ledger.sqlite"
    assert Settings(data=f"file://{tmp_path}").ledger_url == f"sqlite:///{tmp_path}/ledger.sqlite"
    assert Settings(data="s3://bucket/x", ledger="postgresql+psycopg://h/d").ledger_url.startswith("postgresql")


def test_an_object_store_needs_a_ledger_of_its_own() -> None:
    with pytest.raises(SettingError):
        _ = Settings(data="s3://bucket/x").ledger_url


def test_the_model_that_ships_captions_unless_another_is_named() -> None:
    assert Settings().default_spec().model == DEMO_MODEL


@pytest.mark.parametrize("wrong", [{"model": ""}, {"engine": "openai"}])
def test_without_a_model_that_the_engine_can_have_there_is_no_default_spec(wrong: dict[str, str]) -> None:
    assert not Settings.model_validate(wrong).has_model
    with pytest.raises(SettingError, match="No model"):
        Settings.model_validate(wrong).default_spec()


def test_the_default_prompt_is_the_papers() -> None:
    assert Settings(model="m").default_spec().prompt == "Describe this image and its style in a very detailed manner"
