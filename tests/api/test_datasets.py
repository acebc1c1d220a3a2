"""Data sets: made once, with the whole spec written out, and refused where they would mean two things."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from core.spec import PIXART_PROMPT
from tests.api.support import settings
from tests.api.test_errors import problem
from workers.service import Service


def test_without_a_spec_the_servers_settings_are_written_out(client: TestClient) -> None:
    answer = client.post("/v1/datasets", json={"name": "birds"})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/datasets/birds"
    made = answer.json()
    assert (made["spec"]["model"], made["spec"]["prompt"]) == ("a-model", PIXART_PROMPT)
    assert len(made["spec_hash"]) == 64
    assert client.get("/v1/datasets/birds").json() == made


def test_a_spec_in_parts_is_filled_up_from_the_settings(client: TestClient) -> None:
    sent = {"name": "birds", "spec": {"prompt": "What is it?", "generation": {"seed": 3}}}
    spec = client.post("/v1/datasets", json=sent).json()["spec"]
    assert (spec["model"], spec["prompt"]) == ("a-model", "What is it?")
    assert spec["generation"] == {"max_new_tokens": 300, "do_sample": False, "temperature": 1, "top_p": 1, "seed": 3}


def test_another_model_does_not_inherit_the_servers_revision(tmp_path: Path) -> None:
    with Service.embedded(settings(tmp_path, revision="abc")) as service, TestClient(create_app(service)) as client:
        own = client.post("/v1/datasets", json={"name": "own"}).json()
        other = client.post("/v1/datasets", json={"name": "other", "spec": {"model": "another"}}).json()
    assert (own["spec"]["revision"], other["spec"]["revision"]) == ("abc", None)


def test_a_prompts_name_and_its_text_are_the_same_spec(client: TestClient) -> None:
    named = client.post("/v1/datasets", json={"name": "birds", "spec": {"prompt": "pixart-1"}}).json()
    assert named["spec"]["prompt"] == PIXART_PROMPT
    assert client.post("/v1/datasets", json={"name": "birds"}).status_code == 200


def test_the_same_data_set_again_is_answered_200(birds: TestClient) -> None:
    assert birds.post("/v1/datasets", json={"name": "birds"}).status_code == 200


@pytest.mark.parametrize("change", [{"spec": {"prompt": "Another."}}, {"gates": {"min_valid_share": 0.5}}])
def test_another_spec_or_other_gates_under_the_name_are_refused(birds: TestClient, change: dict[str, object]) -> None:
    problem(birds.post("/v1/datasets", json={"name": "birds", **change}), 409, "dataset_exists")


def test_gates_are_kept_as_they_were_set(client: TestClient) -> None:
    made = client.post("/v1/datasets", json={"name": "birds", "gates": {"max_flagged_share": 0.05}}).json()
    assert made["gates"] == {"max_flagged_share": 0.05}
    every = {
        "min_valid_share": 0.1,
        "valid_share_images": 10_000,
        "min_nouns_per_image": 20,
        "max_flagged_share": 0.05,
        "max_cut_off_share": 0.02,
        "max_rejected_share": 0.01,
    }
    assert client.post("/v1/datasets", json={"name": "all", "gates": every}).json()["gates"] == every
    assert client.get("/v1/datasets/all").json()["gates"] == every


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"gates": {"min_valid_share": 1.5}}, "gates.min_valid_share"),
        ({"gates": {"min_valid_shares": 0.5}}, "gates.min_valid_shares"),
        ({"gates": {"max_rejected_share": 2}}, "gates.max_rejected_share"),
        ({"gates": {"min_valid_share": 0.1, "valid_share_images": 0.5}}, "gates.valid_share_images"),
        ({"gates": {"valid_share_images": 1000}}, "gates"),
        ({"spec": {"engine": "magic"}}, "spec.engine"),
        ({"spec": {"generation": {"max_new_tokens": 0}}}, "spec.generation.max_new_tokens"),
        ({"spec": {"generation": {"temprature": 1}}}, "spec.generation.temprature"),
        ({"spec": {"modle": "x"}}, "spec.modle"),
        ({"name": None}, "name"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, change: dict[str, object], field: str) -> None:
    assert problem(client.post("/v1/datasets", json={"name": "birds"} | change), 422, "bad_field")["field"] == field


@pytest.mark.parametrize("prompt", ["What is {", "{old text}", "nobodys-prompt-7"])
def test_a_prompt_that_cannot_be_filled_is_refused(client: TestClient, prompt: str) -> None:
    problem(client.post("/v1/datasets", json={"name": "birds", "spec": {"prompt": prompt}}), 422, "bad_prompt")


def test_a_server_without_a_model_wants_one_named(tmp_path: Path) -> None:
    with Service.embedded(settings(tmp_path, model="")) as service, TestClient(create_app(service)) as client:
        problem(client.post("/v1/datasets", json={"name": "birds"}), 400, "bad_setting")
        assert client.post("/v1/datasets", json={"name": "birds", "spec": {"model": "m"}}).status_code == 201


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "\x00", "\u202egnp", "x" * 201, "x" * 10_000, "-a"])
def test_a_hostile_name_is_refused(client: TestClient, name: str) -> None:
    answer = client.post("/v1/datasets", json={"name": name})
    problem(answer, 400, "bad_name")
    assert len(answer.text) < 2000


def test_an_unknown_data_set_is_a_problem_at_every_path(client: TestClient) -> None:
    for path in ("", "/shards", "/shards/a", "/samples", "/rejects", "/progress", "/events", "/density", "/handoffs"):
        problem(client.get(f"/v1/datasets/none{path}"), 404, "no_such_dataset")


def test_lists_go_on_where_the_page_before_ended(client: TestClient) -> None:
    names = [f"set-{number}" for number in range(5)]
    for name in names:
        client.post("/v1/datasets", json={"name": name})
    seen, cursor = [], None
    while True:
        page = client.get("/v1/datasets", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        seen += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == names
