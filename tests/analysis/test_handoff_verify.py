from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.handoff_verify import HandoffReport, verify_handoff
from core.errors import BadFieldError, NoSuchPathError
from shards.handoff import Handoff, load
from tests.analysis.make_handoff import handed_off
from tests.shards.make_shards import flip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handed_off(tmp_path_factory.mktemp("store"))[2]


@pytest.fixture
def manifest(original: Path, tmp_path: Path) -> Path:
    """A copy of the whole store that a test may damage."""
    shutil.copytree(original.parent.parent, tmp_path / "copy")
    return tmp_path / "copy" / "handoffs" / original.name


def codes(report: HandoffReport) -> set[str]:
    return {finding.code for finding in report.findings}


def rewritten(manifest: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The manifest with a change, its digest and name made right again: only the files can prove it wrong."""
    value = json.loads(manifest.read_bytes())
    change(value)
    handoff = Handoff.model_validate(value)
    handoff = handoff.model_copy(update={"digest": handoff.content_digest()})
    path = manifest.with_name(handoff.file_name)
    path.write_bytes(handoff.dump())
    return path


def test_an_untouched_hand_off_is_proven(manifest: Path) -> None:
    report = verify_handoff(manifest)
    assert report.findings == []
    assert report.ok
    assert report.counts == {"shards": 3, "samples_in": 15, "captioned": 13, "rejected": 2}
    assert [name for name, proof in report.shards if proof.ok] == ["a", "b", "c"]


def test_it_is_proven_by_url_and_after_the_whole_store_has_moved(manifest: Path, tmp_path: Path) -> None:
    assert verify_handoff(f"file://{manifest}").ok
    moved = shutil.move(manifest.parent.parent, tmp_path / "elsewhere")
    assert verify_handoff(str(Path(moved) / "handoffs" / manifest.name)).ok


def test_one_changed_byte_in_any_file_is_found(manifest: Path) -> None:
    files = sorted(file for file in (manifest.parent.parent / "captioned").rglob("*") if file.is_file())
    assert len(files) == 15
    for file in [*files, manifest]:
        data = file.read_bytes()
        for position in (len(data) // 3, len(data) - 1):
            file.write_bytes(flip(data, position))
            try:
                assert not verify_handoff(manifest).ok, (file, position)
            except BadFieldError:
                assert file == manifest
        file.write_bytes(data)
    assert verify_handoff(manifest).ok


def test_every_missing_file_is_found(manifest: Path) -> None:
    for shard in load(manifest.read_bytes()).shards:
        for ref in (shard.path, shard.manifest.path, shard.records.path, shard.nouns.path, shard.samples.path):
            file = manifest.parent / ref
            file.rename(file.with_suffix(".gone"))
            assert not verify_handoff(manifest).ok, ref
            file.with_suffix(".gone").rename(file)


def test_a_changed_manifest_is_found_though_it_still_reads(manifest: Path) -> None:
    text = manifest.read_text()
    manifest.write_text(text.replace('"flagged": 1', '"flagged": 0'))
    assert "digest_mismatch" in codes(verify_handoff(manifest))
    manifest.write_text(text.replace("\n", "\n "))
    assert codes(verify_handoff(manifest)) == {"digest_mismatch"}


def test_a_renamed_manifest_is_found(manifest: Path) -> None:
    assert codes(verify_handoff(manifest.rename(manifest.with_name("birds-0123456789abcdef.json")))) == {"wrong_name"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda value: value["totals"].update(captioned=14), "count_mismatch"),
        (lambda value: value["shards"][0].update(captioned=7, rejected=-0), "count_mismatch"),
        (lambda value: value["shards"][0].update(flagged=0), "wrong_shard"),
        (lambda value: value["shards"][0].update(source_sha256="0" * 64), "wrong_shard"),
        (lambda value: value["shards"][0].update(path="../captioned/other.tar"), "wrong_shard"),
        (lambda value: value["shards"][0]["nouns"].update(sha256="0" * 64), "wrong_shard"),
        (lambda value: value["shards"][0]["splits"].update(train=5, validation=1), "splits_differ"),
        (lambda value: value["splits"].update(seed=9, validation_share=0.5), "splits_differ"),
        (lambda value: value["density"].update(total_nouns=66), "density_differs"),
        (lambda value: value["density"].update(valid_share=1.0), "density_differs"),
        (lambda value: value["density"].pop("images"), "density_differs"),
        (lambda value: value["gates"].update(gates={"min_valid_share": 1.0}), "gates_differ"),
        (lambda value: value["gates"].update(gates={"max_rejected_share": 0.1}), "gates_differ"),
        (lambda value: value["gates"].update(gates={"max_cut_off_share": 0.0}), "gates_differ"),
        (lambda value: value["gates"].update(gates={"min_valid_share": 0.1, "valid_share_images": 9}), "gates_differ"),
        (lambda value: value["gates"].update(gates={"min_valid_share": 0.1, "valid_share_images": 99}), "gates_differ"),
        (lambda value: value["gates"].update(passed=False), "gates_differ"),
        (lambda value: value["spec"].update(model="test/other"), "spec_hash"),
        (lambda value: value.update(spec_hash="0" * 64), "wrong_shard"),
        (lambda value: value["shards"][0]["manifest"].update(path="/etc/passwd"), "wrong_path"),
        (lambda value: value["shards"][0]["manifest"].update(path="../../../nowhere.json"), "not_stored"),
    ],
)
def test_a_manifest_that_lies_is_found_out_by_the_files(
    change: Callable[[dict[str, Any]], None], code: str, manifest: Path
) -> None:
    assert code in codes(verify_handoff(rewritten(manifest, change)))


def test_what_is_no_hand_off_is_told_as_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPathError, match="no hand-off manifest"):
        verify_handoff(tmp_path / "nope.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(BadFieldError):
        verify_handoff(tmp_path / "x.json")
