"""What is trained: the LLaVA and, beside it, heads and an oracle that are thrown away afterwards.

Heads read patch facts off the tower; the oracle gives the language model those facts while the tower cannot see yet.
Leaves out steps and schedules (stages.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from captioner.demo.labels import FACTS, NONE
from captioner.demo.lessons import IGNORED, Lessons
from captioner.demo.model import IMAGE_TOKENS, WIDTH
from scenes.vocabulary import (
    BACKGROUND_VIEWS,
    BACKGROUNDS,
    COLOURS,
    NOUNS,
    PATTERNS,
    SIZES,
    STYLE_OPENINGS,
    STYLES,
    ZONE_PHRASES,
    ZONES,
)


class Student(nn.Module):
    """A LlavaForConditionalGeneration with patch heads and an oracle. `tokenizer`: the language model's."""

    def __init__(self, llava: Any, tokenizer: Any) -> None:
        super().__init__()
        self.llava = llava
        self.heads = nn.Linear(WIDTH, sum(FACTS.values()))
        self.oracle = Oracle(tokenizer)
        self.pointer = nn.Linear(WIDTH, len(ZONES) + 1 + len(COLOURS) + 1)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """(b, 3, SIDE, SIDE) -> (b, patches, width): what the projector reads."""
        return self.llava.model.vision_tower(pixels).last_hidden_state[:, 1:]

    def imagine(self, facts: torch.Tensor) -> torch.Tensor:
        """(b, patches, 8) facts -> (b, patches, width), as if a perfect tower had seen them."""
        return self.oracle(facts, self.llava.model.language_model.embed_tokens.weight)

    def fact_loss(self, seen: torch.Tensor, facts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The heads' mean cross entropy, and the share of things' patches whose noun is right."""
        values = self.heads(seen).float()
        losses, start = [], 0
        for i, (name, count) in enumerate(FACTS.items()):
            part, truth = values[..., start : start + count], facts[..., i]
            start += count
            loss = F.cross_entropy(part.reshape(-1, count), truth.reshape(-1), ignore_index=NONE)
            losses.append(loss * _WEIGHTS.get(name, 1.0))
        owned = facts[..., 0] > 0
        right = (values[..., : FACTS["noun"]].argmax(-1) == facts[..., 0])[owned].float().mean()
        return torch.stack(losses).sum(), right

    def read(self, features: torch.Tensor, lessons: Lessons) -> tuple[torch.Tensor, torch.Tensor]:
        """The language model's last hidden states and those before its last layer -> (b, LENGTH, width) each, with
        `features` (b, patches, width) as pictures.
        """
        inner = self.llava.model
        embedded = inner.language_model.embed_tokens(lessons.ids)
        pictures = inner.multi_modal_projector(features).to(embedded.dtype)
        first, stop = lessons.first, lessons.first + IMAGE_TOKENS
        embedded = torch.cat([embedded[:, :first], pictures, embedded[:, stop:]], dim=1)
        unseen = torch.zeros(lessons.mask.shape, dtype=embedded.dtype, device=embedded.device)
        unseen = unseen.masked_fill(~lessons.mask, torch.finfo(embedded.dtype).min)
        found = inner.language_model(
            inputs_embeds=embedded,
            attention_mask=unseen,
            position_ids=lessons.positions,
            use_cache=False,
            output_hidden_states=True,
        )
        return found.last_hidden_state, found.hidden_states[-2]

    def caption_loss(self, hidden: torch.Tensor, lessons: Lessons) -> torch.Tensor:
        """Mean cross entropy of the answers' tokens, weighted."""
        learnt = lessons.targets != IGNORED
        scores = self.llava.lm_head(hidden[learnt]).float()
        each = F.cross_entropy(scores, lessons.targets[learnt], reduction="none")
        weights = lessons.weights[learnt]
        return (each * weights).sum() / weights.sum()

    def naming_loss(self, hidden: torch.Tensor, lessons: Lessons) -> torch.Tensor:
        """Mean cross entropy of the nouns that the language model gives to the patches of things."""
        nouns = lessons.facts[..., 0]
        patches = hidden[:, lessons.first : lessons.first + IMAGE_TOKENS]
        owned = nouns > 0
        return F.cross_entropy(self.llava.lm_head(patches[owned]).float(), self.oracle.tokens[nouns[owned]])

    def pointing_loss(self, before_last: torch.Tensor, lessons: Lessons) -> torch.Tensor:
        """Cross entropy of where the thing is, and in which colour, that a noun of a question speaks of.

        Read before the last layer, so that the last one can bring the answer to where yes or no is said.
        """
        asked = lessons.pointed[..., 0] != IGNORED
        values = self.pointer(F.layer_norm(before_last[asked], (WIDTH,))).float()
        zones, colours = values.split([len(ZONES) + 1, len(COLOURS) + 1], dim=-1)
        truth = lessons.pointed[asked]
        return F.cross_entropy(zones, truth[:, 0]) + F.cross_entropy(colours, truth[:, 1])


class Oracle(nn.Module):
    """Facts as vectors: the language model's own embedding of the word for a fact, turned by one matrix a fact.

    One circuit then copies any noun from a patch into the caption.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        tokens = [_token(tokenizer, word) for words in fact_words().values() for word in words]
        self.register_buffer("tokens", torch.tensor(tokens), persistent=False)
        self.wordless = nn.Embedding(len(tokens), WIDTH)
        self.turns = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in FACTS)
        for turn in self.turns:
            nn.init.orthogonal_(turn.weight)

    def forward(self, facts: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """(b, patches, 8) facts and the (vocabulary, width) embeddings -> (b, patches, width)."""
        found, start = torch.zeros((), device=facts.device), 0
        for i, (count, turn) in enumerate(zip(FACTS.values(), self.turns, strict=True)):
            tokens, own = self.tokens[start : start + count], self.wordless.weight[start : start + count]
            words = embeddings[tokens.clamp(min=0)]
            # What all nouns share says nothing of which one it is.
            words = F.normalize(words - words[tokens >= 0].mean(dim=0), dim=-1) * WIDTH**0.5
            vectors = torch.where(tokens[:, None] < 0, own, words) if (tokens >= 0).any() else own
            table = torch.cat([torch.zeros_like(vectors[:1]), turn(vectors)])
            found = found + table[torch.where(facts[..., i] == NONE, 0, facts[..., i] + 1)]
            start += count
        return found / len(FACTS) ** 0.5


def fact_words() -> dict[str, list[str]]:
    """The words that captions have for every value of every fact; empty where they have none."""
    return {
        "noun": ["", *NOUNS],
        "colour": list(COLOURS),
        "size": list(SIZES),
        "pattern": ["" if pattern == "plain" else pattern for pattern in PATTERNS],
        "zone": [ZONE_PHRASES[zone] for zone in ZONES],
        "role": [""] * FACTS["role"],
        "background": [f"{BACKGROUND_VIEWS[name]}." for name in BACKGROUNDS],
        "style": [STYLE_OPENINGS[name] for name in STYLES],
    }


def _token(tokenizer: Any, word: str) -> int:
    """The token that a word or phrase is; -1 for none."""
    if not word:
        return -1
    (token,) = tokenizer.encode(f" {word}", add_special_tokens=False)
    return int(token)


_WEIGHTS = {"noun": 3.0, "background": 0.3, "style": 0.3, "size": 0.5, "pattern": 0.5}
