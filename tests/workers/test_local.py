"""`densify caption`'s work: the same files as the service's, resumable, one clear sentence for a bad shard."""

from __future__ import annotations

from pathlib import Path

import pytest

from captioner.engine import CaptionRequest
from core.errors import NoSuchPathError, ShardTruncatedError
from core.settings import Settings
from shards.verify import verify_captioned
from tests.workers.conftest import SPEC, running, states, wait_for
from tests.workers.doubles import FakeEngine, make_shard, published, submit
from workers.local import WORK, caption_locally
from workers.service import Service


def names_and_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_files_are_those_of_the_service_byte_for_byte(service: Service, settings: Settings, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "a.tar", 10, broken=[1])
    (result,) = caption_locally([path], tmp_path / "out", SPEC, settings, load=FakeEngine().load)
    assert verify_captioned(result.tar).findings == []
    assert (result.manifest.samples_in, result.manifest.captioned, result.manifest.rejected) == (10, 9, 1)
    submit(service, "birds", path)
    with running(service, FakeEngine()):
        wait_for(lambda: states(service) == {"accepted"})
    of_service = {key.rpartition("/")[2]: service.store.read_bytes(key) for key in published(service)}
    assert names_and_bytes(tmp_path / "out") == of_service


def test_a_run_that_was_stopped_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "a.tar", 12)

    def stop(request: CaptionRequest) -> None:
        if request.key == "0009":
            raise KeyboardInterrupt

    engine = FakeEngine(before=stop)
    with pytest.raises(KeyboardInterrupt):
        list(caption_locally([path], tmp_path / "out", SPEC, settings, load=engine.load))
    assert not names_and_bytes(tmp_path / "out")
    engine.before = lambda _: None
    list(caption_locally([path], tmp_path / "out", SPEC, settings, load=engine.load))
    assert engine.seen.count("0003") == 1
    assert engine.seen.count("0008") == 2
    undisturbed = tmp_path / "undisturbed"
    list(caption_locally([path], undisturbed, SPEC, settings, load=FakeEngine().load))
    assert names_and_bytes(tmp_path / "out") == names_and_bytes(undisturbed)


def test_progress_counts_every_unit_of_every_shard(settings: Settings, tmp_path: Path) -> None:
    paths = [make_shard(tmp_path / "a.tar", 5), make_shard(tmp_path / "b.tar", 3)]
    told: list[tuple[str, int, int]] = []
    list(
        caption_locally(
            paths,
            tmp_path / "out",
            SPEC,
            settings,
            lambda path, done, units: told.append((path.name, done, units)),
            FakeEngine().load,
        )
    )
    assert told[-1] == ("b.tar", 3, 3)
    assert ("a.tar", 5, 5) in told


def test_the_source_is_left_alone_and_no_copy_of_it_stays(settings: Settings, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "a.tar", 4)
    before = path.read_bytes()
    list(caption_locally([path], tmp_path / "out", SPEC, settings, load=FakeEngine().load))
    assert path.read_bytes() == before
    assert not list((tmp_path / "out" / WORK).rglob("shards/*/*.tar"))
    assert path.stat().st_nlink == 1


def test_a_damaged_shard_is_named_in_the_error(settings: Settings, tmp_path: Path) -> None:
    path = make_shard(tmp_path / "cut.tar", 4)
    path.write_bytes(path.read_bytes()[:-1024])
    with pytest.raises(ShardTruncatedError, match=r"cut\.tar"):
        list(caption_locally([path], tmp_path / "out", SPEC, settings, load=FakeEngine().load))


def test_a_missing_path_is_refused_before_the_model_is_loaded(settings: Settings, tmp_path: Path) -> None:
    def never(*_: object) -> FakeEngine:
        raise AssertionError("loaded")

    with pytest.raises(NoSuchPathError):
        list(caption_locally([tmp_path / "none.tar"], tmp_path / "out", SPEC, settings, load=never))
