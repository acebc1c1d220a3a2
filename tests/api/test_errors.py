"""Problem documents: every failure is one, with the code of the error tree; and docs/errors.md lists every code."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from api.errors import document
from core.errors import DensifyError, ShardCorruptError, StorageFullError, tree

DOCS = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def problem(answer, status: int, code: str) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """Checks the form of a problem and returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:densify:problem:{code}"
    assert body["title"]
    assert str(body["detail"]).endswith(".")
    assert unquote(str(body["instance"]))[:100] == answer.request.url.path[:100]
    return body


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    problem(client.get("/v2/anything"), 404, "not_found")


def test_an_unknown_method_is_a_problem_that_lists_all_that_are_possible(client: TestClient) -> None:
    answer = client.delete("/v1/datasets")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


def test_a_missing_field_is_named(client: TestClient) -> None:
    body = problem(client.post("/v1/datasets", json={}), 422, "bad_field")
    assert body["field"] == "name"
    assert "name" in str(body["detail"])


def test_a_misspelt_field_is_named_and_every_finding_listed(client: TestClient) -> None:
    body = problem(client.post("/v1/datasets", json={"nmae": "birds"}), 422, "bad_field")
    assert body["errors"] == [
        {"field": "name", "message": "field required."},
        {"field": "nmae", "message": "extra inputs are not permitted."},
    ]


def test_a_nested_field_is_named_by_its_path(client: TestClient) -> None:
    sent = {"name": "birds", "spec": {"generation": {"max_new_tokens": "many"}}}
    assert (
        problem(client.post("/v1/datasets", json=sent), 422, "bad_field")["field"] == "spec.generation.max_new_tokens"
    )


def test_a_wrong_query_field_is_named(client: TestClient) -> None:
    assert problem(client.get("/v1/datasets", params={"limit": 0}), 422, "bad_field")["field"] == "limit"


def test_broken_json_says_where(client: TestClient) -> None:
    answer = client.post("/v1/datasets", content=b'{"name": }', headers={"Content-Type": "application/json"})
    assert "character 9" in str(problem(answer, 400, "bad_input")["detail"])


def test_a_body_that_is_not_sent_as_json_is_named_so(client: TestClient) -> None:
    answer = client.post("/v1/datasets", data={"name": "birds"})
    assert "application/x-www-form-urlencoded" in str(problem(answer, 415, "unsupported_media")["detail"])


def test_a_foreign_cursor_is_refused(birds: TestClient) -> None:
    for path in (
        "/v1/datasets",
        "/v1/datasets/birds/shards",
        "/v1/datasets/birds/samples",
        "/v1/datasets/birds/rejects",
    ):
        for cursor in ("%%%", "bm9uc2Vuc2U", "W10"):
            problem(birds.get(path, params={"cursor": cursor}), 400, "bad_cursor")


def test_details_stand_beside_the_sentence_but_replace_nothing() -> None:
    error = ShardCorruptError("Damaged.", offset=512, members=3, status=999, code="other")
    told = document(error, "/x")
    assert (told["offset"], told["members"]) == (512, 3)
    assert (told["status"], told["code"]) == (422, "shard_corrupt")


def test_credentials_in_a_sentence_are_masked() -> None:
    told = document(StorageFullError("s3://key:secret@bucket is full."), "/x")
    assert "secret" not in str(told)


@pytest.mark.parametrize("kind", sorted(set(tree()), key=lambda kind: kind.__name__))
def test_every_error_has_a_lawful_status_and_exit_code(kind: type[DensifyError]) -> None:
    assert 400 <= kind.status <= 599
    assert kind.exit_code in (1, 2)


def test_the_page_lists_every_code_with_its_status_and_exit_code_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| (\d) \| (.+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    listed = [(code, int(status), int(exit_code)) for code, status, exit_code, _, _ in rows]
    assert sorted(listed) == sorted({(kind.code, kind.status, kind.exit_code) for kind in tree()})
    assert all(meaning.strip() and doing.strip() for _, _, _, meaning, doing in rows)
