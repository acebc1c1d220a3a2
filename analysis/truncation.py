"""What a trainer sees of captions: its tokenizer cuts them after so many tokens, and the nouns behind the cut are lost.

CLIP reads 77 tokens, PixArt-alpha 120, PixArt-sigma 300, special tokens included. Leaves out tagging: nouns are found
in whole captions, and are lost or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.counts import NounCounts
from analysis.density import Table
from analysis.nouns import Noun, batches_of
from analysis.words import printable
from core.errors import BadFieldError

#: More tokens than any caption has, and few enough for a tokenizer's own integers.
MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Seen:
    """One caption as the trainer reads it: `text` up to the cut, and the nouns that lie wholly before it."""

    text: str
    nouns: list[Noun]
    cut: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """What a trainer of `tokens` tokens does not read: of `captions` so many are `cut`, of `nouns` so many `lost`.

    `valid_lost`: nouns valid in the whole captions and not in what is read; `_over`: with more than min_count.
    """

    tokenizer: str
    tokens: int
    captions: int
    cut: int
    nouns: int
    lost: int
    valid_lost: int
    valid_lost_over: int

    @property
    def cut_share(self) -> float:
        """Captions cut, as a share of all; 0 where there is none."""
        return self.cut / self.captions if self.captions else 0.0

    @property
    def lost_share(self) -> float:
        """Noun occurrences lost, as a share of all; 0 where there is none."""
        return self.lost / self.nouns if self.nouns else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Every figure by name, ready for JSON."""
        return asdict(self) | {name: getattr(self, name) for name in ("cut_share", "lost_share")}


class Truncation:
    """Cuts captions as a trainer does, at their end. `tokens`: the most that it reads, special tokens included.

    `tokenizer`: a hub id or a folder that transformers' AutoTokenizer loads. Raises BadFieldError where it does not
    load, tells no offsets, or leaves no room for a word.
    """

    def __init__(self, tokenizer: str, tokens: int) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer)
        except Exception as error:  # what a damaged file raises has no class of its own
            first = (str(error).strip() or type(error).__name__).split("\n", 1)[0]
            raise BadFieldError(
                f"The tokenizer '{tokenizer}' does not load: {first}",
                hint="Name a folder with its files; where the hub can be reached: `hf download ID --local-dir FOLDER`.",
            ) from error
        if not self._tokenizer.is_fast:
            raise BadFieldError(
                f"The tokenizer '{tokenizer}' does not say where its tokens lie in the text.",
                hint="Use one with a tokenizer.json.",
            )
        if tokens <= self._tokenizer.num_special_tokens_to_add():
            raise BadFieldError(f"{tokens} tokens leave no room for a word.", hint="Use 77, 120 or 300.")
        self._tokenizer.truncation_side = "right"
        self.name, self.tokens = tokenizer, tokens

    def ends(self, texts: Sequence[str]) -> list[int]:
        """For each text, how many of its characters the trainer reads."""
        if not texts:
            return []
        # Tokenizers refuse half of a surrogate pair.
        clean = [printable(text) for text in texts]
        found = self._tokenizer(clean, truncation=True, max_length=min(self.tokens, MOST_TOKENS), verbose=False)
        return [
            _end(text, encoding.offsets, overflows=bool(encoding.overflowing))
            for text, encoding in zip(texts, found.encodings, strict=True)
        ]

    def counts(self, captions: Iterable[tuple[str, list[Noun]]], counts: NounCounts) -> int:
        """Counts captions (text, nouns) into `counts` as the trainer reads them; returns how many of them are cut."""
        cut = 0
        for batch in batches_of(captions, lambda caption: len(caption[0])):
            for (text, nouns), end in zip(batch, self.ends([text for text, _ in batch]), strict=True):
                seen = self.see(text, nouns, end)
                counts.add(seen.text, seen.nouns)
                cut += seen.cut
        return cut

    def loss(self, whole: Table, seen: Table, cut: int) -> Loss:
        """What lies between the tables of whole captions and of what is read of them."""
        return Loss(
            self.name,
            self.tokens,
            whole.images,
            cut,
            whole.total_nouns,
            whole.total_nouns - seen.total_nouns,
            whole.valid_nouns - seen.valid_nouns,
            whole.valid_nouns_over - seen.valid_nouns_over,
        )

    def see(self, text: str, nouns: Sequence[Noun], end: int) -> Seen:
        """The caption up to `end`, as `ends` gave it."""
        return Seen(text[:end], [noun for noun in nouns if noun.end <= end], end < len(text))


def _end(text: str, offsets: Sequence[tuple[int, int]], *, overflows: bool) -> int:
    """How many characters are read of a text whose tokens lie at `offsets`; all where none overflows the limit."""
    end = max((end for _, end in offsets), default=0) if overflows else len(text)
    # White space behind the last token is no loss.
    return end if text[end:].strip() else len(text)


def truncation(tokenizer: str | None, tokens: int | None) -> Truncation | None:
    """The cut of a trainer's tokenizer and its number of tokens; None without both. Raises BadFieldError with one."""
    if tokenizer is None and tokens is None:
        return None
    if tokenizer is None:
        raise BadFieldError(
            f"How much {tokens} tokens are depends on the tokenizer, and none is named.",
            hint="Add `--tokenizer ID-or-folder`, the one that the trainer uses.",
        )
    if tokens is None:
        raise BadFieldError(
            f"How many tokens of '{tokenizer}' the trainer reads is not said.",
            hint="Add `--tokens N`: CLIP reads 77, PixArt-alpha 120, PixArt-sigma 300.",
        )
    return Truncation(tokenizer, tokens)
