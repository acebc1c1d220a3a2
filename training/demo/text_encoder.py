"""Trains the demo's text encoder: `python -m training.demo.text_encoder --work FOLDER --out FOLDER`.

transformers' T5EncoderModel, 128 channels wide, and a tokenizer of its own (bytes and the world's words, lower case).
It learns by answering: from a text, what is in each of 8 x 8 cells of the picture, and its background and style. The
answering heads are thrown away; the vectors that they read are what a PixArt is told. Old texts are among its
lessons, so that one who trains on old text has an encoder that has seen such. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from scenes.boxes import layout
from scenes.captions import brief, dense
from scenes.graph import MOST_THINGS, Scene, sample_scene
from scenes.oldtext import old_text
from scenes.renderer import drawing_order
from scenes.vocabulary import BACKGROUNDS, COLOURS, NOUNS, PATTERNS, SIZES, STYLES
from training.demo import resume

WIDTH, LAYERS, HEADS, HEAD, INNER = 128, 3, 4, 32, 384
WORDS, LONGEST = 1024, 120  # tokens
CELLS, SIDE = 8, 64  # cells of a side; pixels of the square that scenes are laid out in
BATCH, DECAY = 64, 0.4
#: Of matrices (Muon), of the rest (AdamW), and of what says how far words are apart: which colour is whose is a matter
#: of distance, and a bias that moves by a thousandth a step needs thousands of steps to say so.
MATRIX_RATE, RATE, BIAS_RATE = 3e-3, 1e-3, 2e-2
#: Things of a scene at most in this share of lessons: what a word says of a place is learnt from those first.
FEW, FEW_SHARE = 2, 0.5
#: Share of dense captions and of brief ones; the rest is old text.
DENSE, BRIEF = 0.7, 0.15
EOS, PAD = "</s>", "<pad>"
TELL_EVERY, UNSEEN, UNSEEN_SEED = 100, 512, 2
#: What is asked of a cell, and of the whole picture: how many answers there are. The last one of a cell: nothing.
CELL_FACTS = (len(NOUNS) + 1, len(COLOURS) + 1, len(SIZES) + 1, len(PATTERNS) + 1)
WHOLE_FACTS = (len(BACKGROUNDS), len(STYLES))
IGNORED = -100


def tokenizer(texts: Sequence[str]) -> Any:
    """A PreTrainedTokenizerFast with merges learnt from `texts`; `</s>` ends every text, as in T5."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            special_tokens=[PAD, EOS],
            vocab_size=WORDS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    end = core.token_to_id(EOS)
    core.post_processor = processors.TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, end)])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=EOS, pad_token=PAD, model_max_length=512)


def build(words: Any) -> Any:
    """The encoder with random weights."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=len(words),
            d_model=WIDTH,
            d_kv=HEAD,
            d_ff=INNER,
            num_layers=LAYERS,
            num_heads=HEADS,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            pad_token_id=words.pad_token_id,
            eos_token_id=words.eos_token_id,
        )
    )


class Answers(nn.Module):
    """Reads an encoder's vectors and answers: a question for each cell and one for the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = nn.Parameter(torch.randn(CELLS * CELLS + 1, WIDTH) / WIDTH**0.5)
        self.look = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.think = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.cell = nn.Linear(WIDTH, sum(CELL_FACTS))
        self.whole = nn.Linear(WIDTH, sum(WHOLE_FACTS))

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, length, WIDTH), (n, length) -> logits (n, cells, sum of CELL_FACTS) and (n, sum of WHOLE_FACTS)."""
        asked = self.questions.expand(len(vectors), -1, -1)
        seen, _ = self.look(asked, vectors, vectors, key_padding_mask=mask == 0, need_weights=False)
        seen = asked + seen
        seen = seen + self.think(seen)
        return self.cell(seen[:, :-1]), self.whole(seen[:, -1])


def facts(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The right answers: (cells, 4) of each cell the thing that is nearest in it, (2) background and style."""
    nothing = [count - 1 for count in CELL_FACTS]
    grid = np.tile(np.array(nothing), (CELLS, CELLS, 1))
    boxes = layout(scene, SIDE, SIDE)
    cell = SIDE / CELLS
    for at in drawing_order(scene, boxes):
        thing, box = scene.things[at], boxes[at]
        told = [
            NOUNS.index(thing.noun),
            COLOURS.index(thing.colour),
            SIZES.index(thing.size),
            PATTERNS.index(thing.pattern),
        ]
        centres = (np.arange(CELLS) + 0.5) * cell
        across = (centres > box.x0) & (centres < box.x1)
        down = (centres > box.y0) & (centres < box.y1)
        grid[np.ix_(down, across)] = told
    return grid.reshape(-1, 4), np.array([BACKGROUNDS.index(scene.background), STYLES.index(scene.style)])


def lesson(rng: np.random.Generator, most: int = MOST_THINGS) -> tuple[str, np.ndarray, np.ndarray]:
    """A text and its answers, of a scene of `most` things at most."""
    scene = sample_scene(rng, things=(1, most))
    kind = rng.random()
    text = dense(scene) if kind < DENSE else brief(scene) if kind < DENSE + BRIEF else old_text(scene, rng).text
    return text, *facts(scene)


def lessons(
    seed: int, step: int, words: Any, count: int = BATCH
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Tokens (ids, mask) of a batch, and its answers."""
    rng = np.random.default_rng((seed, step))
    drawn = rng.random(count) < FEW_SHARE
    texts, cells, wholes = zip(*(lesson(rng, FEW if few else MOST_THINGS) for few in drawn), strict=True)
    tokens = words(
        [text.lower().strip() for text in texts], padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
    )
    given = {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask}
    return given, torch.from_numpy(np.stack(cells)).long(), torch.from_numpy(np.stack(wholes)).long()


def loss(cell: torch.Tensor, whole: torch.Tensor, cells: torch.Tensor, wholes: torch.Tensor) -> torch.Tensor:
    """The mean surprise at the right answers; a cell's is counted as the whole picture's."""
    found = sum(
        functional.cross_entropy(part.flatten(0, 1), cells[..., at].flatten())
        for at, part in enumerate(cell.split(CELL_FACTS, -1))
    )
    return found + sum(
        functional.cross_entropy(part, wholes[:, at]) for at, part in enumerate(whole.split(WHOLE_FACTS, -1))
    )


def train(words: Any, steps: int, state: Path, seed: int) -> Any:
    """The trained encoder."""
    torch.manual_seed(seed)
    encoder, answers = build(words), Answers()
    both = nn.ModuleList([encoder, answers])
    matrices = [
        each
        for name, each in both.named_parameters()
        if each.ndim == 2 and not any(part in name for part in ("shared", "relative", "questions", "cell", "whole"))
    ]
    bias = encoder.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    rest = [each for each in both.parameters() if not any(each is other for other in (bias, *matrices))]
    muon = torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([{"params": rest}, {"params": [bias]}], lr=RATE, weight_decay=0.0)
    groups = ((muon.param_groups[0], MATRIX_RATE), *zip(adamw.param_groups, (RATE, BIAS_RATE), strict=True))
    first = resume.load(state, both, muon, adamw)
    for step in range(first, steps):
        share = min(1.0, (steps - step) / (DECAY * steps))
        for group, rate in groups:
            group["lr"] = rate * share
        given, cells, wholes = lessons(seed, step, words)
        with torch.autocast("cpu", torch.bfloat16):
            said = answers(encoder(**given).last_hidden_state, given["attention_mask"])
        wrong = loss(said[0].float(), said[1].float(), cells, wholes)
        wrong.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        muon.step()
        adamw.step()
        both.zero_grad()
        if (step + 1) % TELL_EVERY == 0 or step + 1 == steps:
            right = ", ".join(f"{name} {share:.3f}" for name, share in judge(encoder, answers, words))
            print(f"step {step + 1} of {steps}: {wrong.item():.3f}; of dense captions: {right}", flush=True)
            resume.save(state, step + 1, both, muon, adamw)
    return encoder


@torch.inference_mode()
def judge(encoder: Any, answers: Answers, words: Any) -> Iterator[tuple[str, float]]:
    """Share of filled cells whose noun, noun and colour are right, from dense captions that training never drew."""
    rng = np.random.default_rng(UNSEEN_SEED)
    scenes = [sample_scene(rng) for _ in range(UNSEEN)]
    tokens = words([dense(scene).lower() for scene in scenes], padding=True, return_tensors="pt")
    vectors = encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
    cell, _ = answers(vectors, tokens.attention_mask)
    truth = torch.from_numpy(np.stack([facts(scene)[0] for scene in scenes]))
    filled = truth[..., 0] < len(NOUNS)
    noun, colour = (part.argmax(-1) == truth[..., at] for at, part in enumerate(cell.split(CELL_FACTS, -1)[:2]))
    yield "noun", float(noun[filled].float().mean())
    yield "noun and colour", float((noun & colour)[filled].float().mean())


def _texts(seed: int) -> list[str]:
    """What the tokenizer learns its words from."""
    rng = np.random.default_rng((seed, 1))
    return [f" {lesson(rng)[0]}" for _ in range(8000)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo's text encoder.")
    parser.add_argument("--work", type=Path, required=True, help="folder for states")
    parser.add_argument("--out", type=Path, required=True, help="folder for `text_encoder` and `tokenizer`")
    parser.add_argument("--steps", type=int, default=2_700, help=f"of {BATCH} texts")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    words = tokenizer(_texts(given.seed))
    encoder = train(words, given.steps, given.work / "text_encoder.pt", given.seed)
    encoder.to(torch.float16).save_pretrained(given.out / "text_encoder")
    words.save_pretrained(given.out / "tokenizer")


if __name__ == "__main__":
    main()
