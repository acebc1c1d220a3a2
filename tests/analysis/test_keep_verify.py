"""The proof of a hand-off that keeps some samples: untouched it holds, and every lie about what is kept is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.counts import read_samples, write_samples
from analysis.handoff_verify import verify_handoff
from core.errors import BadFieldError
from core.gates import Gates
from shards.handoff import load
from shards.keep import read_keep, write_keep
from tests.analysis.make_handoff import handed_off
from tests.analysis.test_handoff_verify import codes, rewritten
from tests.shards.make_shards import flip

KEEP = [("a", "a/0001"), ("a", "a/0004"), ("b", "0004")]
GATES = Gates(min_valid_share=0.5, valid_share_images=2, max_cut_off_share=0.3)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handed_off(tmp_path_factory.mktemp("store"), KEEP, GATES)[2]


@pytest.fixture
def manifest(original: Path, tmp_path: Path) -> Path:
    """A copy of the whole store that a test may damage."""
    shutil.copytree(original.parent.parent, tmp_path / "copy")
    return tmp_path / "copy" / "handoffs" / original.name


def keep_of(manifest: Path) -> Path:
    keep = load(manifest.read_bytes()).keep
    assert keep is not None
    return manifest.parent / keep.path


def rows_of(manifest: Path) -> list[tuple[str, int, str]]:
    keep = read_keep(keep_of(manifest).read_bytes())
    return [(source, *sample) for source in keep.by_source for sample in keep.of(source)]


def pinned_anew(manifest: Path, data: bytes) -> Path:
    """The manifest with another keep file, pinned as it should be."""
    sha256 = hashlib.sha256(data).hexdigest()
    (manifest.parent / "keep" / f"{sha256}.parquet").write_bytes(data)

    def change(value: dict[str, Any]) -> None:
        value["keep"].update(path=f"keep/{sha256}.parquet", sha256=sha256, size_bytes=len(data))

    return rewritten(manifest, change)


def test_an_untouched_keep_is_proven(manifest: Path) -> None:
    report = verify_handoff(manifest)
    assert report.findings == []
    counts = {"shards": 3, "samples_in": 15, "captioned": 13, "rejected": 2, "kept": 3, "left_out": 10}
    assert report.counts == counts
    assert [failure.gate for failure in report.handoff.gates.failures] == ["min_valid_share", "max_cut_off_share"]


def test_it_is_proven_after_the_whole_store_has_moved(manifest: Path, tmp_path: Path) -> None:
    moved = shutil.move(manifest.parent.parent, tmp_path / "elsewhere")
    assert verify_handoff(f"file://{moved}/handoffs/{manifest.name}").ok


def test_one_changed_byte_of_the_keep_file_or_of_the_manifest_is_found(manifest: Path) -> None:
    for file in (keep_of(manifest), manifest):
        data = file.read_bytes()
        for position in range(0, len(data), max(1, len(data) // 40)):
            file.write_bytes(flip(data, position))
            try:
                assert not verify_handoff(manifest).ok, (file, position)
            except BadFieldError:
                assert file == manifest
        file.write_bytes(data)
    assert verify_handoff(manifest).ok


def test_a_keep_file_that_is_gone_is_found(manifest: Path) -> None:
    keep_of(manifest).unlink()
    assert codes(verify_handoff(manifest)) == {"not_stored"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: rows[:-1], "count_mismatch"),
        (lambda rows: [*rows, (rows[0][0], 2, "a/0002")], "count_mismatch"),
        (lambda rows: [*rows, (rows[0][0], 2, "a/0003")], "keep_differs"),
        (lambda rows: [*rows, (rows[0][0], 99, "a/0099")], "keep_differs"),
        (lambda rows: [*rows, ("0" * 64, 0, "0000")], "keep_differs"),
        (lambda rows: [], "keep_differs"),
        # One without a flag in place of one that has two.
        (
            lambda rows: [(source, 5, "a/0005") if key == "a/0001" else (source, n, key) for source, n, key in rows],
            "count_mismatch",
        ),
    ],
)
def test_another_keep_file_does_not_prove_what_the_manifest_says(
    change: Callable[[list[tuple[str, int, str]]], list[tuple[str, int, str]]], code: str, manifest: Path
) -> None:
    assert code in codes(verify_handoff(pinned_anew(manifest, write_keep(change(rows_of(manifest))))))


def test_a_rejected_sample_cannot_be_kept(manifest: Path) -> None:
    b = load(manifest.read_bytes()).shards[1].source_sha256
    assert "keep_differs" in codes(
        verify_handoff(pinned_anew(manifest, write_keep([*rows_of(manifest), (b, 0, "0000")])))
    )


def test_what_is_no_keep_file_is_a_finding(manifest: Path) -> None:
    for data in (b"", b"PAR1", manifest.read_bytes()):
        assert "keep_differs" in codes(verify_handoff(pinned_anew(manifest, data)))


def kept(value: dict[str, Any], **counts: int) -> None:
    for part in (value["shards"][0], value["totals"]):
        for name, more in counts.items():
            part[name] += more


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda value: kept(value, kept=1, left_out=-1), "count_mismatch"),
        (lambda value: kept(value, left_out=1), "count_mismatch"),
        (lambda value: kept(value, flagged=1), "count_mismatch"),
        (lambda value: value["totals"].update(kept=4), "count_mismatch"),
        (lambda value: value["shards"][0]["splits"].update(train=1, validation=1), "splits_differ"),
        (lambda value: value["density"].update(total_nouns=16), "density_differs"),
        (lambda value: value["density"].update(images=13), "count_mismatch"),
        (lambda value: value["gates"].update(gates={"max_cut_off_share": 0.1}), "gates_differ"),
        (lambda value: value["gates"]["failures"].pop(), "gates_differ"),
        (lambda value: value["keep"].update(size_bytes=1), "wrong_size"),
        (lambda value: value["keep"].update(sha256="0" * 64), "digest_mismatch"),
        (lambda value: value["keep"].update(path="/etc/passwd"), "wrong_path"),
    ],
)
def test_a_manifest_that_lies_about_what_is_kept_is_found_out(
    change: Callable[[dict[str, Any]], None], code: str, manifest: Path
) -> None:
    assert code in codes(verify_handoff(rewritten(manifest, change)))


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("keep"),
        lambda value: value.update(format="densify.handoff/1"),
        lambda value: value["totals"].pop("kept"),
        lambda value: value["shards"][1].pop("left_out"),
    ],
)
def test_a_manifest_of_both_versions_is_none(change: Callable[[dict[str, Any]], None], manifest: Path) -> None:
    value = json.loads(manifest.read_bytes())
    change(value)
    manifest.write_text(json.dumps(value))
    with pytest.raises(BadFieldError, match="no hand-off manifest"):
        verify_handoff(manifest)


def test_nouns_of_samples_that_do_not_add_up_to_the_noun_counts_are_found(manifest: Path) -> None:
    """All hashes made right again: a shard whose sample rows claim a noun that its captions do not have."""
    shard = load(manifest.read_bytes()).shards[0]
    samples, inner = manifest.parent / shard.samples.path, manifest.parent / shard.manifest.path
    rows = read_samples(samples)
    forms = (*(rows[1].forms or ()), ("unicorn", 1, 1))
    rows[1] = type(rows[1])(rows[1].key, rows[1].words, rows[1].nouns + 1, rows[1].distinct + 1, forms)
    samples.write_bytes(write_samples(rows, "plain-1"))

    def entry(file: Path) -> dict[str, Any]:
        data = file.read_bytes()
        return {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}

    value = json.loads(inner.read_bytes())
    value["files"]["samples"].update(entry(samples))
    inner.write_text(json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n")

    def change(value: dict[str, Any]) -> None:
        value["shards"][0]["samples"].update(entry(samples))
        value["shards"][0]["manifest"].update(entry(inner))

    report = verify_handoff(rewritten(manifest, change))
    assert codes(report) == {"density_differs"}
    assert "do not add up to its noun counts" in " ".join(finding.sentence for finding in report.findings)
