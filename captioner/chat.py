"""From a prompt to the text that a model was trained to answer: its chat template, with one picture before the words.

Words of a sample may get into a prompt (`{old_text}`): the tokenizer's special tokens inside them are broken up first,
or `<image>` in an alt text would ask for a second picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from core.errors import BadCheckpointError

#: The form of LLaVA-1.5 (Vicuna), used where a processor brings no template.
VICUNA = "USER: {image}\n{prompt} ASSISTANT:"
MISTRAL = "[INST] {image}\n{prompt} [/INST]"
CHATML = "<|im_start|>user\n{image}\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


class Chat:
    """Writes chat texts for one processor. `form` is used where the processor has no template of its own."""

    def __init__(self, processor: Any, form: str = VICUNA) -> None:
        self.processor = processor
        self.form = form
        tokenizer = processor.tokenizer
        image = getattr(processor, "image_token", "<image>")
        special = {image, getattr(processor, "video_token", image), *map(str, tokenizer.all_special_tokens)}
        added = getattr(tokenizer, "added_tokens_decoder", {})
        special |= {str(token) for token in added.values() if getattr(token, "special", False)}
        longest_first = sorted((token for token in special if len(token) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)))
        bos = tokenizer.bos_token
        # A template that writes the begin-of-text token itself must not get a second one from the tokenizer.
        self.adds_special_tokens = not (bos and self("x").startswith(bos))

    def __call__(self, prompt: str) -> str:
        """The chat text of one user turn: picture, then `prompt`."""
        words = self.without_special_tokens(prompt)
        if not self.processor.chat_template:
            image = getattr(self.processor, "image_token", "<image>")
            return self.form.format(image=image, prompt=words)
        turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": words}]}
        return self._apply([turn])

    def without_special_tokens(self, text: str) -> str:
        """`text` with a space after the first character of every special token: `< image>`."""
        broken: Callable[[re.Match[str]], str] = lambda found: f"{found.group()[0]} {found.group()[1:]}"  # noqa: E731
        while self._special.search(text):
            text = self._special.sub(broken, text)
        return text

    def _apply(self, messages: list[dict[str, Any]]) -> str:
        try:
            return str(self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except Exception as error:  # templates are programs: any error can come out of them
            raise BadCheckpointError(f"The model's chat template fails: {error}") from error
