"""API keys: wanted as soon as one exists, checked before anything else, and never written down."""

from __future__ import annotations

import logging

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import check_public, register_keys
from core.errors import PublicWithoutKeyError, SettingError
from core.logs import configure
from tests.api.support import small_tar
from workers.service import Service

KEY = "test-key-of-many-letters-0123456789"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_any_key_the_service_is_open(client: TestClient) -> None:
    assert client.get("/v1/datasets").status_code == 200
    assert client.get("/v1/datasets", headers=bearer("whatever it may be")).status_code == 200


def test_as_soon_as_a_key_exists_it_is_wanted(client: TestClient, service: Service) -> None:
    _, text = service.ledger.create_key("anna")
    refused = client.get("/v1/datasets")
    assert refused.status_code == 401
    assert refused.json()["code"] == "unauthorized"
    assert refused.headers["www-authenticate"] == 'Bearer realm="densify"'
    assert client.get("/v1/datasets", headers=bearer(text)).status_code == 200
    assert client.get("/v1/datasets", headers={"Authorization": f"bearer {text}"}).status_code == 200


@pytest.mark.parametrize("header", ["Bearer wrong-key-wrong-key", "Bearer", "Bearer ", "Basic YTpi", "", "\u00e9"])
def test_a_wrong_header_is_refused(client: TestClient, service: Service, header: str) -> None:
    service.ledger.create_key("anna")
    answer = client.get("/v1/datasets", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="densify", error="invalid_token"'


def test_a_revoked_key_is_refused_at_once_and_the_last_one_does_not_open_the_door(
    client: TestClient, service: Service
) -> None:
    _, text = service.ledger.create_key("anna")
    service.ledger.revoke_key("anna")
    assert client.get("/v1/datasets", headers=bearer(text)).status_code == 401
    assert client.get("/v1/datasets").status_code == 401


def test_unknown_paths_tell_nothing_without_a_key(client: TestClient, service: Service) -> None:
    service.ledger.create_key("anna")
    assert client.get("/v1/no/such/path").status_code == 401


def test_health_metrics_and_documentation_want_no_key(client: TestClient, service: Service) -> None:
    service.ledger.create_key("anna")
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path


def test_an_upload_without_a_key_is_refused_before_its_body_is_kept(client: TestClient, service: Service) -> None:
    service.ledger.create_key("anna")
    answer = client.put("/v1/datasets/birds/shards/a.tar", content=small_tar())
    assert answer.status_code == 401
    assert list(service.store.staging().iterdir()) == []


def test_keys_of_the_settings_are_registered_at_the_start_once_and_as_hashes(service: Service) -> None:
    service.settings.api_keys = [KEY]
    for _ in range(2):
        with TestClient(create_app(service)) as client:
            assert client.get("/v1/datasets").status_code == 401
            assert client.get("/v1/datasets", headers=bearer(KEY)).status_code == 200
    assert len(service.ledger.list_keys()) == 1
    folder = service.settings.data_folder
    assert folder is not None
    assert all(KEY.encode() not in path.read_bytes() for path in folder.glob("ledger.sqlite*"))


@pytest.mark.parametrize("key", ["short", "a key with spaces in it 0123456789", "schlüssel-schlüssel-schlüssel", ""])
def test_a_key_that_is_none_is_refused_without_being_shown(service: Service, key: str) -> None:
    with pytest.raises(SettingError) as caught:
        register_keys(service.ledger, [KEY, key])
    assert "Key 2" in caught.value.sentence
    assert not key or key not in caught.value.sentence


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "example.org", "127.0.0.1.example.org"])
def test_a_public_address_wants_a_key_first(service: Service, host: str) -> None:
    with pytest.raises(PublicWithoutKeyError):
        check_public(host, service.ledger)
    service.ledger.create_key("anna")
    check_public(host, service.ledger)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST.", "::1", "[::1]"])
def test_loopback_needs_no_key(service: Service, host: str) -> None:
    check_public(host, service.ledger)


def test_keys_never_reach_logs_answers_or_metrics(
    service: Service, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    handlers = logging.getLogger().handlers[:]
    configure("DEBUG", json_lines=True)
    wrong = "wrong-key-of-many-letters-9876543210"
    service.settings.api_keys = [KEY]
    texts = []
    try:
        with TestClient(create_app(service), raise_server_exceptions=False) as client:
            for key in (KEY, wrong):
                for path in ("/v1/datasets", "/v1/datasets/none", "/v1/nothing", "/metrics"):
                    texts.append(client.get(path, headers=bearer(key)).text)
    finally:
        logging.getLogger().handlers[:] = handlers
    out, err = capfd.readouterr()
    assert "/v1/datasets/none" in err
    for text in (out, err, caplog.text, *texts):
        assert KEY not in text
        assert wrong not in text
