"""Turns SentencePiece's tokenizer.model into a fast Llama tokenizer, for folders of 2023 that hold nothing else.

transformers does this too, but wants the package protobuf for it; SentencePiece's own reader knows all that is needed.
Serves checkpoint.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import BadCheckpointError


def llama_tokenizer(folder: Path) -> Any:
    """The tokenizer of `folder`, which writes the begin-of-text token itself. Raises BadCheckpointError."""
    import sentencepiece
    from transformers import LlamaTokenizer

    path = folder / "tokenizer.model"
    if not path.is_file():
        raise BadCheckpointError(f"The folder {folder} holds no tokenizer (tokenizer.json or tokenizer.model).")
    pieces = sentencepiece.SentencePieceProcessor()
    try:
        pieces.Load(str(path))
    except (OSError, RuntimeError) as error:
        raise BadCheckpointError(f"{path} is damaged: {error}") from error
    vocabulary = {pieces.IdToPiece(number): number for number in range(pieces.GetPieceSize())}
    scores = {piece: pieces.GetScore(number) for piece, number in vocabulary.items()}
    tokenizer = LlamaTokenizer(
        vocab=vocabulary,
        merges=merges_of(vocabulary, scores),
        unk_token=pieces.IdToPiece(pieces.unk_id()),
        bos_token=pieces.IdToPiece(pieces.bos_id()),
        eos_token=pieces.IdToPiece(pieces.eos_id()),
        add_bos_token=True,
    )
    added = folder / "added_tokens.json"
    if added.is_file():
        numbers: dict[str, int] = json.loads(added.read_text(encoding="utf-8"))
        tokenizer.add_tokens(sorted(numbers, key=lambda token: numbers[token]), special_tokens=True)
    return tokenizer


def merges_of(vocabulary: dict[str, int], scores: dict[str, float]) -> list[tuple[str, str]]:
    """The pairs of pieces that byte-pair encoding joins, the earliest first.

    SentencePiece keeps no pairs, only pieces with scores; a pair may be joined if its whole is a piece, and the piece
    with the higher score is joined first.
    """
    found = []
    for whole, number in vocabulary.items():
        pairs = ((whole[:at], whole[at:]) for at in range(1, len(whole)))
        known = [(left, right) for left, right in pairs if left in vocabulary and right in vocabulary]
        known.sort(key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
        found += [(-scores[whole], number, pair) for pair in known]
    found.sort(key=lambda entry: entry[:2])
    return [pair for _score, _number, pair in found]
