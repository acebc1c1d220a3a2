"""The sweeper: what the ledger says is unfinished gets a hint, however the last one was lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core.settings import Settings
from tests.workers.conftest import SPEC, wait_for
from tests.workers.doubles import make_shard, submit
from workers import sweeper as sweeper_module
from workers.hints import Kind
from workers.service import Service


class Recorder:
    """Hints that keep what they were given and forget on command."""

    def __init__(self) -> None:
        self.queue: list[tuple[Kind, str]] = []
        self.down = False

    def send(self, kind: Kind, ids: Iterable[str]) -> int:
        fresh = [] if self.down else [(kind, identifier) for identifier in ids]
        self.queue.extend(fresh)
        return len(fresh)

    def queued(self) -> int | None:
        return None if self.down else len(self.queue)

    def my_turn(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        pass


def make_service(settings: Settings) -> tuple[Service, Recorder]:
    recorder = Recorder()
    service = Service(settings, recorder)
    service.ledger.create_dataset("birds", SPEC)
    return service, recorder


def test_every_claimable_chunk_gets_one_hint_and_a_second_round_sends_none(settings: Settings, tmp_path: Path) -> None:
    service, recorder = make_service(settings)
    submit(service, "birds", make_shard(tmp_path / "a.tar", 20))
    service.sweeper.sweep()
    service.sweeper.sweep()
    assert sorted(recorder.queue) == sorted(("chunk", chunk) for chunk in service.ledger.claimable("chunk", 10))
    service.close()


def test_hints_that_were_lost_are_sent_again(settings: Settings, tmp_path: Path) -> None:
    service, recorder = make_service(settings)
    submit(service, "birds", make_shard(tmp_path / "a.tar", 20))
    service.sweeper.sweep()
    before = list(recorder.queue)
    recorder.queue.clear()
    service.sweeper.sweep()
    assert recorder.queue == before
    service.close()


def test_a_carrier_that_is_down_gets_its_hints_when_it_is_back(settings: Settings, tmp_path: Path) -> None:
    service, recorder = make_service(settings)
    recorder.down = True
    service.sweeper.start()
    submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    recorder.down = False
    wait_for(lambda: len(recorder.queue) == 1)
    service.close()


def test_the_queue_is_never_filled_above_its_mark(settings: Settings, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sweeper_module, "HIGH_WATER", 3)
    service, recorder = make_service(settings)
    submit(service, "birds", make_shard(tmp_path / "a.tar", 40))
    for _ in range(4):
        service.sweeper.sweep()
    assert len(recorder.queue) == 3
    service.close()


def test_an_expired_lease_is_taken_back_and_hinted(settings: Settings, tmp_path: Path) -> None:
    service, recorder = make_service(settings)
    submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    (chunk,) = service.ledger.claimable("chunk", 10)
    assert service.ledger.claim_chunk(chunk, "dead", 0.05) is not None
    wait_for(lambda: service.sweeper.sweep()["sent"] == 1)
    assert recorder.queue == [("chunk", chunk)]
    service.close()
