"""The tasks: work is done once, faults are the ledger's to remember, and nothing is lost on the way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from analysis.nouns import load_pipeline
from captioner.engine import CaptionRequest
from core.errors import EngineConfigError, EngineError, EngineOutError, StorageFullError
from core.settings import Settings
from core.spec import CaptionSpec
from shards.keys import source_key
from shards.store import Store
from shards.verify import verify_captioned
from tests.workers.conftest import SPEC, running, states, wait_for
from tests.workers.doubles import FakeEngine, make_shard, published, submit
from workers import tasks as tasks_module
from workers.service import Service
from workers.tasks import FatalFault, Tasks


def finish(service: Service, engine: FakeEngine) -> None:
    with running(service, engine):
        wait_for(lambda: states(service) <= {"accepted", "held", "quarantined"})


def test_a_shard_goes_from_upload_to_accepted_and_every_unit_is_accounted_for(service: Service, tmp_path: Path) -> None:
    submit(service, "birds", make_shard(tmp_path / "a.tar", 10, broken=[3]))
    finish(service, FakeEngine())
    (shard,) = service.ledger.list_shards("birds")[0]
    assert (shard.state, shard.units, shard.captioned, shard.rejected) == ("accepted", 10, 9, 1)
    assert shard.manifest_key is not None
    path = service.store.path(shard.manifest_key)
    assert path is not None
    report = verify_captioned(path)
    assert report.findings == []
    assert service.ledger.audit("birds").ok
    (reject,) = service.ledger.list_rejects("birds")[0]
    assert (reject.key, reject.reason) == ("0003", "not_an_image")


def test_a_hint_for_work_that_is_done_or_unknown_does_nothing(service: Service, tmp_path: Path) -> None:
    shard = submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    engine = FakeEngine()
    tasks = Tasks(service, engine.load)
    (chunk,) = service.ledger.claimable("chunk", 10)
    for _ in range(3):
        tasks.run("chunk", chunk)
    tasks.run("finalise", shard.id)
    tasks.run("chunk", "no-such-chunk")
    tasks.close()
    assert engine.seen == ["0000", "0001", "0002", "0003"]
    assert states(service) == {"accepted"}


def test_the_noun_pipeline_is_loaded_before_the_first_shard_and_only_once(service: Service, tmp_path: Path) -> None:
    load_pipeline.cache_clear()
    submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    tasks = Tasks(service, FakeEngine().load)
    tasks.warm_up()
    assert load_pipeline.cache_info().misses == 1
    (chunk,) = service.ledger.claimable("chunk", 10)
    tasks.run("chunk", chunk)
    tasks.close()
    assert states(service) == {"accepted"}
    assert load_pipeline.cache_info().misses == 1


def test_the_order_of_chunks_and_a_second_run_change_no_byte(settings: Settings, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "a.tar", 11, broken=[0, 7])
    outputs = []
    for run, chunk_samples in enumerate((4, 4, 3)):
        fresh = settings.model_copy(update={"data": str(tmp_path / str(run)), "chunk_samples": chunk_samples})
        with Service.embedded(fresh) as service:
            service.ledger.create_dataset("birds", SPEC)
            submit(service, "birds", path)
            finish(service, FakeEngine())
            outputs.append(published(service))
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(outputs[0]) == 5


def test_the_same_bytes_in_another_data_set_are_captioned_once(service: Service, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "a.tar", 8)
    submit(service, "birds", path)
    engine = FakeEngine()
    finish(service, engine)
    service.ledger.create_dataset("more", SPEC)
    submit(service, "more", path)
    with running(service, engine):
        wait_for(lambda: states(service, "more") == {"accepted"})
    assert sorted(engine.seen) == [f"{number:04d}" for number in range(8)]


def test_a_sample_that_fails_every_attempt_ends_alone_rejected(service: Service, tmp_path: Path) -> None:
    def fail(request: CaptionRequest) -> None:
        if request.key == "0005":
            raise RuntimeError("this picture breaks it")

    submit(service, "birds", make_shard(tmp_path / "a.tar", 8))
    finish(service, FakeEngine(before=fail))
    (shard,) = service.ledger.list_shards("birds")[0]
    assert (shard.state, shard.captioned, shard.rejected) == ("accepted", 7, 1)
    (reject,) = service.ledger.list_rejects("birds")[0]
    assert (reject.key, reject.reason) == ("0005", "poison")
    assert "this picture breaks it" in reject.sentence
    assert service.ledger.audit("birds").ok


@pytest.mark.parametrize("error", [EngineOutError("The endpoint is down."), EngineConfigError("No such model.")])
def test_an_engine_that_is_out_counts_no_attempt_and_the_work_waits(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(tasks_module, "PAUSE_S", 0.0)
    submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    (chunk,) = service.ledger.claimable("chunk", 10)

    def out(_request: CaptionRequest) -> None:
        raise error

    engine = FakeEngine(before=out)
    tasks = Tasks(service, engine.load)
    for _ in range(5):
        tasks.run("chunk", chunk)
    assert service.ledger.claimable("chunk", 10) == [chunk]
    assert service.ledger.progress("birds")["trouble"] == str(error)
    engine.before = lambda _: None
    tasks.run("chunk", chunk)
    tasks.close()
    assert states(service) == {"accepted"}
    assert service.ledger.progress("birds")["trouble"] is None
    assert service.ledger.list_rejects("birds")[0] == []


@pytest.mark.parametrize("method", ["put_new", "put_file"])
def test_a_full_disk_counts_no_attempt_and_the_work_goes_on_when_there_is_room(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(tasks_module, "PAUSE_S", 0.0)
    shard = submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    (chunk,) = service.ledger.claimable("chunk", 10)

    def full(*_: object, **__: object) -> None:
        raise StorageFullError("The disk is full.")

    tasks = Tasks(service, FakeEngine().load)
    with monkeypatch.context() as patch:
        patch.setattr(Store, method, full)
        for _ in range(5):
            tasks.run("chunk", chunk)
            tasks.run("finalise", shard.id)
        assert states(service) == {"captioning"}
    tasks.run("chunk", chunk)
    tasks.run("finalise", shard.id)
    tasks.close()
    assert states(service) == {"accepted"}
    assert service.ledger.list_rejects("birds")[0] == []


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_lost_source_is_quarantined_and_mended_by_sending_it_again(
    service: Service, tmp_path: Path, damage: str
) -> None:
    path = make_shard(tmp_path / "a.tar", 8)
    shard = submit(service, "birds", path)
    assert shard.sha256 is not None
    key = source_key(shard.sha256)
    if damage == "gone":
        service.store.delete(key)
    else:
        service.store.put_bytes(key, service.store.read_bytes(key)[:2048])
    engine = FakeEngine()
    finish(service, engine)
    assert service.ledger.get_shard_by_id(shard.id).code == "not_stored"
    submit(service, "birds", path)
    finish(service, engine)
    assert states(service) == {"accepted"}
    assert service.ledger.list_rejects("birds")[0] == []
    assert service.ledger.audit("birds").ok


def test_a_broken_accelerator_ends_the_process_and_is_an_attempt(service: Service, tmp_path: Path) -> None:
    submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    (chunk,) = service.ledger.claimable("chunk", 10)

    def poisoned(_request: CaptionRequest) -> None:
        raise EngineError("An illegal memory access.", fatal=True)

    tasks = Tasks(service, FakeEngine(before=poisoned).load)
    with pytest.raises(FatalFault):
        tasks.run("chunk", chunk)
    tasks.close()
    assert [attempt.outcome for attempt in service.ledger.attempts(chunk)] == ["failed"]


def test_stopping_gives_the_chunk_back_at_once_and_counts_no_attempt(service: Service, tmp_path: Path) -> None:
    submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    begun, go_on = threading.Event(), threading.Event()

    def slow(_request: CaptionRequest) -> None:
        begun.set()
        go_on.wait(10)

    with running(service, FakeEngine(before=slow)) as workers:
        assert begun.wait(10)
        workers.tasks.stopping.set()
        go_on.set()
    assert states(service) == {"captioning"}
    assert len(service.ledger.claimable("chunk", 10)) == 1
    assert not [key for key in service.store.list() if key.startswith("chunks/")]


def test_a_zombie_whose_lease_ran_out_cannot_commit(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"lease_s": 0.3, "stall_s": 0.1})
    with Service.embedded(settings) as service:
        service.ledger.create_dataset("birds", SPEC)
        submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
        (chunk,) = service.ledger.claimable("chunk", 10)
        asleep, wake = threading.Event(), threading.Event()

        def sleep(_request: CaptionRequest) -> None:
            asleep.set()
            wake.wait(20)

        zombie = Tasks(service, FakeEngine("fake:zombie", before=sleep).load)
        thread = threading.Thread(target=zombie.run, args=("chunk", chunk))
        thread.start()
        assert asleep.wait(10)
        wait_for(lambda: service.ledger.expire_leases(3).retried == 1)
        living = Tasks(service, FakeEngine("fake:living").load)
        living.run("chunk", chunk)
        wake.set()
        thread.join()
        zombie.close()
        living.close()
        (shard,) = service.ledger.list_shards("birds")[0]
        assert (shard.state, shard.captioned) == ("accepted", 4)
        assert [attempt.outcome for attempt in service.ledger.attempts(chunk)] == ["expired", "done"]
        assert all("fake:zombie" not in key for key in published(service))


def test_records_that_are_damaged_or_gone_are_made_again(service: Service, tmp_path: Path) -> None:
    submit(service, "birds", make_shard(tmp_path / "a.tar", 8))
    engine = FakeEngine()
    tasks = Tasks(service, engine.load)
    first, second = service.ledger.claimable("chunk", 10)
    tasks.run("chunk", first)
    (key,) = [key for key in service.store.list() if key.startswith("chunks/")]
    data = bytearray(service.store.read_bytes(key))
    data[len(data) // 2] ^= 1
    service.store.put_bytes(key, bytes(data))
    tasks.run("chunk", second)
    assert states(service) == {"captioning"}
    finish(service, engine)
    assert states(service) == {"accepted"}
    assert engine.seen.count("0000") == 2
    assert engine.seen.count("0004") == 1
    tasks.close()


def test_a_shard_that_fails_its_gates_is_held_with_the_figures(service: Service, tmp_path: Path) -> None:
    service.ledger.create_dataset("strict", SPEC, {"min_nouns_per_image": 50})
    submit(service, "strict", make_shard(tmp_path / "a.tar", 4))
    with running(service, FakeEngine()):
        wait_for(lambda: states(service, "strict") == {"held"})
    (shard,) = service.ledger.list_shards("strict")[0]
    assert shard.findings
    assert "50" in shard.findings[0]


def test_cut_off_captions_and_rejected_samples_are_gated(service: Service, tmp_path: Path) -> None:
    gates = {"max_cut_off_share": 0.3, "max_rejected_share": 0.25, "min_valid_share": 1.0, "valid_share_images": 9}
    service.ledger.create_dataset("strict", SPEC, gates)
    submit(service, "strict", make_shard(tmp_path / "cut.tar", 4))
    submit(service, "strict", make_shard(tmp_path / "broken.tar", 4, broken=[0, 1]))
    submit(service, "strict", make_shard(tmp_path / "good.tar", 4, broken=[0]))
    with running(service, FakeEngine(limit=["0002", "0003"])):
        wait_for(lambda: states(service, "strict") == {"held"})
    findings = {shard.name: shard.findings for shard in service.ledger.list_shards("strict")[0]}
    cut = "The share of captions cut off is {}, over 0.3."
    assert findings == {
        "broken": [cut.format(1), "The share of rejected samples is 0.5, over 0.25."],
        "cut": [cut.format(0.5)],
        "good": [cut.format("0.6667")],
    }


def test_a_correction_makes_a_new_edition_and_keeps_the_old_one(service: Service, tmp_path: Path) -> None:
    shard = submit(service, "birds", make_shard(tmp_path / "a.tar", 4))
    engine = FakeEngine()
    finish(service, engine)
    old = published(service)
    service.ledger.correct("birds", shard.name, "0002", "A heron over a pond.", "me")
    finish(service, engine)
    new = published(service)
    assert old.items() <= new.items()
    assert len(new) == 2 * len(old)
    assert len(engine.seen) == 4
    after = service.ledger.get_shard_by_id(shard.id)
    assert after.manifest_key is not None
    path = service.store.path(after.manifest_key)
    assert path is not None
    assert verify_captioned(path).findings == []


def test_a_shard_of_rejects_only_is_finalised_without_an_engine(service: Service, tmp_path: Path) -> None:
    from shards.writer import write_shard

    write_shard(tmp_path / "texts.tar", [("a", {"txt": b"no image"}), ("b", {"json": b"{}"})])
    submit(service, "birds", tmp_path / "texts.tar")
    engine = FakeEngine()
    finish(service, engine)
    (shard,) = service.ledger.list_shards("birds")[0]
    assert (shard.units, shard.captioned, shard.rejected) == (2, 0, 2)
    assert engine.seen == []


def test_another_model_waits_until_the_first_is_free(service: Service, tmp_path: Path) -> None:
    service.ledger.create_dataset("other", CaptionSpec(model="second"))
    submit(service, "birds", make_shard(tmp_path / "a.tar", 12))
    submit(service, "other", make_shard(tmp_path / "b.tar", 12))
    loaded: list[str] = []

    class Counting(FakeEngine):
        def load(self, spec: CaptionSpec, settings: Settings) -> FakeEngine:
            loaded.append(spec.model)
            return FakeEngine(f"fake:{spec.model}")

    with running(service, Counting()):
        wait_for(lambda: states(service) == states(service, "other") == {"accepted"})
    assert set(loaded) == {"fake", "second"}
