"""`densify doctor`: each part ok, warn or fail, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import doctor
from core.settings import Settings
from ledger import Ledger
from tests.cli.conftest import Densify


def by_subject(findings: list[Any]) -> dict[str, Any]:
    return {finding.subject: finding for finding in findings}


def test_a_machine_without_redis_is_told_what_to_do(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_BROKER", "redis://user:secret@127.0.0.1:9/0")
    result = densify("doctor")
    assert result.exit_code == 1
    assert "fail  Redis: redis://***@127.0.0.1:9/0 does not answer" in result.stdout
    assert "secret" not in result.stdout
    assert "ok    model: densify-demo-1, which ships: it knows drawn scenes of the demo world only" in result.stdout


def test_without_a_model_the_way_to_one_is_told(densify: Densify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSIFY_MODEL", "")
    result = densify("doctor", "--embedded")
    assert "warn  model: DENSIFY_MODEL is not set" in result.stdout
    assert "      → Set DENSIFY_MODEL" in result.stdout


def test_the_embedded_service_needs_no_redis(
    densify: Densify, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DENSIFY_MODEL", str(small_model))
    result = densify("doctor", "--embedded", "--json")
    assert result.exit_code == 0
    findings = {finding["subject"]: finding["level"] for finding in json.loads(result.stdout)["findings"]}
    assert {name: findings[name] for name in ("Python", "packages", "ledger", "model")} == dict.fromkeys(
        ("Python", "packages", "ledger", "model"), "ok"
    )
    assert "Redis" not in findings


def test_doctor_changes_nothing(densify: Densify, tmp_path: Path) -> None:
    densify("doctor", "--embedded")
    assert not (tmp_path / "data").exists()


def test_a_ledger_is_told_with_its_schema(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    ledger = Ledger(settings.ledger_url)
    ledger.create()
    ledger.close()
    (finding,) = doctor.check_ledger(settings)
    assert finding.level == "ok"
    assert "schema 0" in finding.found


def test_a_database_without_our_tables_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").touch()
    (finding,) = doctor.check_ledger(Settings(data=str(tmp_path)))
    assert finding.level == "warn"


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: Settings) -> Any:
        raise RuntimeError("bang")

    monkeypatch.setattr(doctor, "check_data", broken)
    findings = list(doctor.examine(Settings(data=str(tmp_path)), embedded=True))
    assert by_subject(findings)["data"].found == "RuntimeError: bang"
    assert "ledger" in by_subject(findings)


@pytest.mark.parametrize(
    ("model", "level"),
    [("/no/such/folder", "fail"), ("./nowhere", "fail"), ("llava-hf/llava-1.5-7b-hf", "fail")],
)
def test_a_model_that_is_not_there_is_told(
    model: str, level: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (finding,) = doctor.check_model(Settings(model=model))
    assert finding.level == level
    assert finding.advice


def test_half_a_model_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (finding,) = doctor.check_model(Settings(model=str(tmp_path)))
    assert (finding.level, "lacks" in finding.found) == ("fail", True)


def test_an_endpoint_that_does_not_answer_is_told() -> None:
    assert next(doctor.check_model(Settings(engine="openai"))).level == "fail"
    (finding,) = doctor.check_model(Settings(engine="openai", endpoint="http://127.0.0.1:9/v1", model="m"))
    assert (finding.level, finding.subject) == ("fail", "endpoint")


def test_redis_that_may_forget_is_a_warning(redis_server: Any) -> None:
    settings = Settings(broker=redis_server.url)
    findings = list(doctor.check_redis(settings))
    assert findings[0].level == "ok"
    told = " ".join(finding.found for finding in findings[1:])
    import redis

    client = redis.Redis.from_url(redis_server.url)
    try:
        kept = client.config_get("appendonly")["appendonly"]
        client.config_set("appendonly", "no")
        client.config_set("maxmemory-policy", "allkeys-lru")
        told = " ".join(finding.found for finding in doctor.check_redis(settings))
        assert "maxmemory-policy is allkeys-lru" in told
        assert "append-only file is off" in told
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
        assert [finding.level for finding in doctor.check_redis(settings)] == ["ok"]
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", kept)
        client.close()
