"""Our reading of SentencePiece's file gives SentencePiece's own tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece

from captioner.sentencepieces import llama_tokenizer, merges_of
from core.errors import BadCheckpointError
from tests.captioner.original import train_pieces


def test_real_captions_get_sentencepieces_own_tokens(real_data: Path, tmp_path: Path) -> None:
    lines = (real_data / "caption-text" / "model_dense_llava.jsonl").read_text(encoding="utf-8").splitlines()
    captions = [json.loads(line)["text"] for line in lines]
    train_pieces(tmp_path / "tokenizer.model", captions[:600], size=2000)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    ours = llama_tokenizer(tmp_path)
    for text in [*captions[600:1000], "Ein Fuß, 배와 강 🚣 — 1,234"]:
        ids = ours(text)["input_ids"]
        assert ids == [theirs.bos_id(), *theirs.encode(text)]
        assert ours.decode(ids, skip_special_tokens=True) == text


def test_added_tokens_keep_their_numbers(tmp_path: Path) -> None:
    train_pieces(tmp_path / "tokenizer.model", ["a small boat lies in the harbor"] * 20)
    size = len(llama_tokenizer(tmp_path))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<b>": size + 1, "<a>": size}))
    tokenizer = llama_tokenizer(tmp_path)
    assert tokenizer.convert_tokens_to_ids(["<a>", "<b>"]) == [size, size + 1]


def test_the_piece_with_the_higher_score_is_joined_first() -> None:
    vocabulary = {"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4}
    assert merges_of(vocabulary, {"a": 0, "b": 0, "c": 0, "bc": -2.0, "ab": -1.0}) == [("a", "b"), ("b", "c")]


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpointError, match="holds no tokenizer"):
        llama_tokenizer(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"no pieces")
    with pytest.raises(BadCheckpointError, match="damaged"):
        llama_tokenizer(tmp_path)
