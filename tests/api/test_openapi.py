"""The OpenAPI document: valid, complete, with examples, and problems as they are really sent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

DOCS = Path(__file__).resolve().parents[2] / "docs" / "http.md"

OPERATIONS = {
    "POST /v1/datasets",
    "GET /v1/datasets",
    "GET /v1/datasets/{name}",
    "PUT /v1/datasets/{name}/shards/{shard}.tar",
    "POST /v1/datasets/{name}/shards",
    "GET /v1/datasets/{name}/shards",
    "GET /v1/datasets/{name}/shards/{shard}",
    "GET /v1/datasets/{name}/shards/{shard}/captioned.tar",
    "GET /v1/datasets/{name}/shards/{shard}/manifest",
    "POST /v1/datasets/{name}/shards/{shard}/release",
    "GET /v1/datasets/{name}/samples",
    "GET /v1/datasets/{name}/samples/{shard}/{key}",
    "PATCH /v1/datasets/{name}/samples/{shard}/{key}",
    "GET /v1/datasets/{name}/rejects",
    "GET /v1/datasets/{name}/progress",
    "GET /v1/datasets/{name}/events",
    "GET /v1/datasets/{name}/density",
    "PUT /v1/datasets/{name}/keeps/{sha256}",
    "POST /v1/datasets/{name}/handoffs",
    "GET /v1/datasets/{name}/handoffs",
    "GET /v1/datasets/{name}/handoffs/{digest}",
    "GET /v1/datasets/{name}/handoffs/{digest}/files/{path}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
}


@pytest.fixture
def spec(client: TestClient) -> dict[str, Any]:
    made: dict[str, Any] = client.get("/openapi.json").json()
    return made


def operations(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid(spec: dict[str, Any]) -> None:
    validate(spec)


def test_every_path_of_the_design_is_there_and_no_other(spec: dict[str, Any]) -> None:
    assert set(operations(spec)) == OPERATIONS


def test_every_operation_is_described_and_has_a_name_of_its_own(spec: dict[str, Any]) -> None:
    found = operations(spec)
    assert all(operation.get("description") for operation in found.values())
    assert len({operation["operationId"] for operation in found.values()}) == len(found)


def test_every_error_is_documented_as_a_problem(spec: dict[str, Any]) -> None:
    for name, operation in operations(spec).items():
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")) and name != "GET /readyz":
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
        if " /v1/" in name:
            assert {"401", "422", "500"} <= set(operation["responses"]), name
            assert operation["security"] == [{"HTTPBearer": []}], name


def test_bodies_and_answers_have_examples(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    for name in ("DatasetIn", "UrlsIn", "ReasonIn", "CorrectionIn", "Problem", "DensityOut"):
        assert schemas[name]["examples"], name
    for name in ("ShardOut", "SampleOut", "ProgressOut", "RejectOut", "HandoffOut", "DatasetOut"):
        assert any("examples" in field for field in schemas[name]["properties"].values()), name
    assert "HTTPValidationError" not in schemas
    assert schemas["HandoffIn"]["examples"][1].keys() == {"keep"}


def test_the_upload_takes_a_tar_and_a_digest(spec: dict[str, Any]) -> None:
    put = operations(spec)["PUT /v1/datasets/{name}/shards/{shard}.tar"]
    assert list(put["requestBody"]["content"]) == ["application/x-tar"]
    assert {"name", "shard", "Repr-Digest"} == {each["name"] for each in put["parameters"]}
    assert {"200", "201", "400", "404", "408", "411", "413", "415", "422", "503", "507"} <= set(put["responses"])


def test_the_page_describes_every_operation_with_a_call(spec: dict[str, Any]) -> None:
    text = DOCS.read_text()
    headings = set(re.findall(r"^### `([A-Z]+ /[^`]+)`$", text, re.MULTILINE))
    assert headings == set(operations(spec))
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        assert "curl" in part, part.splitlines()[0]


def test_the_interactive_documentation_is_served(client: TestClient) -> None:
    assert "openapi.json" in client.get("/docs").text
