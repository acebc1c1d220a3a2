"""A model is found in a folder or in the hub's cache, and named by its bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants, errors

from captioner.source import find_model, read_config
from core.errors import BadCheckpointError, EngineConfigError, HubUnreachableError
from core.hub import folder_hash

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache; no hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put_in_cache(cache: Path, name: str, folder: Path) -> Path:
    """`folder` as the hub's client would have stored the model `name`."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(folder, repository / "snapshots" / COMMIT))


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


@pytest.mark.parametrize("name", ["/no/such", "./no-such", "~/no-such", "plain-name", "a/b/c", "owner/na me"])
def test_a_folder_that_is_not_there_is_no_hub_id(cache: Path, name: str) -> None:
    with pytest.raises(EngineConfigError, match="There is no model folder"):
        find_model(name, None)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineConfigError, match=r"holds no config\.json"):
        find_model(str(tmp_path), None)


def test_a_config_that_is_no_json_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", "\xff"):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(BadCheckpointError, match=r"config\.json"):
            read_config(tmp_path)


def test_a_hub_that_is_out_of_reach_is_one_sentence_and_says_what_to_do(cache: Path) -> None:
    with pytest.raises(HubUnreachableError, match="the hub cannot be reached") as caught:
        find_model("llava-hf/llava-1.5-7b-hf", None)
    assert caught.value.sentence.count(". ") == 0
    assert "DENSIFY_MODEL" in caught.value.hint


def hub_says(kind: type[Exception]) -> Exception:
    if not issubclass(kind, errors.HfHubHTTPError):
        return kind("refused")
    response = httpx.Response(404, request=httpx.Request("GET", "https://hub.invalid"))
    return kind("refused", response=response)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("kind", "expected", "words"),
    [
        (errors.GatedRepoError, EngineConfigError, "accepted its terms"),
        (errors.RepositoryNotFoundError, EngineConfigError, "has no model 'a/b' at revision 'v1'"),
        (errors.RevisionNotFoundError, EngineConfigError, "has no model"),
        (errors.HFValidationError, EngineConfigError, "has no model"),
        (errors.LocalEntryNotFoundError, HubUnreachableError, "cannot be reached"),
        (httpx.ConnectError, HubUnreachableError, "cannot be reached"),
        (TimeoutError, HubUnreachableError, "cannot be reached"),
    ],
)
def test_what_the_hub_says_becomes_one_sentence(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception], expected: type[EngineConfigError], words: str
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise hub_says(kind)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(expected, match=words) as caught:
        find_model("a/b", "v1")
    assert type(caught.value) is expected


def test_a_cached_hub_model_is_named_by_its_commit(cache: Path, small_folder: Path) -> None:
    snapshot = put_in_cache(cache, "somebody/small", small_folder)
    source = find_model("somebody/small", None)
    assert (source.folder, source.commit) == (snapshot, COMMIT)
    assert source.identity() == f"transformers:somebody/small@{COMMIT}"


def test_a_revision_that_is_not_cached_needs_the_hub(cache: Path, small_folder: Path) -> None:
    put_in_cache(cache, "somebody/small", small_folder)
    with pytest.raises(HubUnreachableError, match="at revision 'v2'"):
        find_model("somebody/small", "v2")


def test_the_same_files_have_the_same_name_wherever_they_lie(small_folder: Path, tmp_path: Path) -> None:
    twin = copied(small_folder, tmp_path / "twin")
    assert find_model(str(twin), None).identity() == find_model(str(small_folder), None).identity()
    assert find_model(str(twin), None).identity().startswith("transformers:sha256:")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_one_changed_byte_of_any_model_file_changes_the_name(small_folder: Path, tmp_path: Path, name: str) -> None:
    folder = copied(small_folder, tmp_path / "twin")
    before = folder_hash(folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert folder_hash(folder) != before


def test_files_that_decide_nothing_do_not_change_the_name(small_folder: Path, tmp_path: Path) -> None:
    folder = copied(small_folder, tmp_path / "twin")
    before = folder_hash(folder)
    (folder / "README.md").write_text("news")
    assert folder_hash(folder) == before
