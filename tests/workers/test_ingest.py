"""Shards named by URL: read under the allow-list, checked like uploads, quarantined with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from tests.workers.conftest import SPEC, running, states, wait_for
from tests.workers.doubles import FakeEngine, make_shard, submit
from workers.service import Service


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    allowed = settings.model_copy(update={"ingest_allow": [f"file://{tmp_path}/allowed/"]})
    (tmp_path / "allowed").mkdir()
    with Service.embedded(allowed) as service:
        service.ledger.create_dataset("birds", SPEC)
        yield service


def test_a_shard_by_url_becomes_the_same_shard_as_an_upload(service: Service, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "allowed" / "a.tar", 6)
    remote = service.ledger.add_remote("birds", "a", f"file://{path}")
    assert remote.state == "uploading"
    with running(service, FakeEngine()):
        wait_for(lambda: states(service) == {"accepted"})
    (shard,) = service.ledger.list_shards("birds")[0]
    again = submit(service, "birds", path)
    assert again.id == shard.id
    assert path.exists()
    assert not list(service.store.staging().iterdir())


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("cut.tar", None, "shard_truncated"),
        ("page.tar", b"<html>" + bytes(2000), "unsupported_format"),
        ("none.tar", b"", "shard_empty"),
    ],
)
def test_a_damaged_shard_is_quarantined_with_code_and_sentence(
    service: Service, tmp_path: Path, name: str, data: bytes | None, code: str
) -> None:
    path = make_shard(tmp_path / "allowed" / name, 4)
    path.write_bytes(path.read_bytes()[:-1024] if data is None else data)
    service.ledger.add_remote("birds", path.stem, f"file://{path}")
    with running(service, FakeEngine()):
        wait_for(lambda: states(service) == {"quarantined"})
    (shard,) = service.ledger.list_shards("birds")[0]
    assert shard.code == code
    assert shard.sentence
    assert not list(service.store.staging().iterdir())


def test_a_url_outside_the_list_is_refused_even_when_it_reached_the_ledger(service: Service, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "secret.tar", 4)
    service.ledger.add_remote("birds", "secret", f"file://{tmp_path}/allowed/../secret.tar")
    service.ledger.add_remote("birds", "secret2", f"file://{path}")
    with running(service, FakeEngine()):
        wait_for(lambda: states(service) == {"quarantined"})
    assert {shard.code for shard in service.ledger.list_shards("birds")[0]} == {"url_refused"}
