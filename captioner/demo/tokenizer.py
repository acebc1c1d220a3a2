"""The demo LLaVA's tokenizer: byte-level BPE, in which the fixed phrases of captions are one token each.

Captions of the demo world repeat a few dozen phrases (`in the top left corner`, a style's closing sentence). As single
tokens they make a caption a third as long, and writing it takes a third of the time. Any other text falls apart into
words, pieces of words and bytes, so nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scenes.vocabulary import (
    BACKGROUND_PLACES,
    BACKGROUND_VIEWS,
    COLOURS,
    NOUNS,
    RELATION_PHRASES,
    STYLE_CLOSINGS,
    STYLE_OPENINGS,
    ZONE_PHRASES,
    plural,
)

#: Merges and bytes, without the phrases.
WORDS = 1024
CONTEXT = 1024  # tokens
BOS, EOS, PAD, IMAGE = "<s>", "</s>", "<pad>", "<image>"
#: Every word of the world is shown so often that it becomes one token.
_OFTEN = 2000


def phrases() -> list[str]:
    """What is one token each, as it stands in captions: with the space before it."""
    found = [*STYLE_OPENINGS.values(), *STYLE_CLOSINGS.values()]
    found += [f"{view}." for view in BACKGROUND_VIEWS.values()]
    found += [f"{place}." for place in BACKGROUND_PLACES.values()]
    for place in ZONE_PHRASES.values():
        found += [place, f"is {place}", f"{place[0].upper()}{place[1:]} there is", f"one {place}"]
    found += [f"{words} it" for words in RELATION_PHRASES.values()]
    return [f" {phrase}" for phrase in [*found, "There are"]]


def train(texts: Iterable[str]) -> Any:
    """A PreTrainedTokenizerFast with merges learnt from `texts` (captions and prompts)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=[BOS, EOS, PAD, IMAGE],
        vocab_size=WORDS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([*texts, *_words()], trainer)
    core.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases()])
    start = core.token_to_id(BOS)
    core.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, start)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        model_max_length=CONTEXT,
    )


def _words() -> list[str]:
    words = [f" {word}" for noun in NOUNS for word in (noun, plural(noun))] + [f" {colour}" for colour in COLOURS]
    return words * _OFTEN
