"""A small tokenizer for tests of what a trainer reads: one token a word or sign, and an end-of-text token, as T5's."""

from __future__ import annotations

from pathlib import Path


def word_tokenizer(folder: Path) -> Path:
    """Writes it into the folder, which is returned."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)
    return folder
