"""The application as a whole: what importing it loads, and what happens to faults of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from core.errors import SettingError
from workers.service import Service


def test_importing_the_application_loads_no_model_library() -> None:
    heavy = ["torch", "transformers", "spacy", "diffusers", "duckdb", "thinc"]
    code = f"import sys, api.app, api.server; print([name for name in {heavy!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_making_a_data_set_and_reading_density_loads_no_model_library(birds: TestClient) -> None:
    before = set(sys.modules)
    birds.post("/v1/datasets", json={"name": "gated", "gates": {"min_valid_share": 0.1}})
    birds.get("/v1/datasets/gated/density")
    assert not {"torch", "transformers", "spacy"} & (set(sys.modules) - before)


def test_a_fault_of_ours_is_a_problem_without_its_insides(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(service)

    def fault(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(type(service.ledger), "list_datasets", fault)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/v1/datasets")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal"
    assert "secret" not in answer.text


def test_an_unusable_key_in_the_settings_refuses_to_start(service: Service) -> None:
    service.settings.api_keys = ["short"]
    with pytest.raises(SettingError) as caught:
        create_app(service)
    assert "DENSIFY_API_KEYS" in caught.value.sentence
    assert "short" not in caught.value.sentence


def test_two_applications_in_one_process_do_not_mix_their_metrics(service: Service) -> None:
    with TestClient(create_app(service)) as one, TestClient(create_app(service)) as two:
        one.get("/v1/datasets")
        assert 'route="/v1/datasets"' in one.get("/metrics").text
        assert 'route="/v1/datasets"' not in two.get("/metrics").text
