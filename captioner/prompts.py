"""Prompts: named versions that never change, and templates that are filled from a sample.

A template is text with `{old_text}` (the sample's old caption) and `{field}` (a field of its .json; `{a.b}` reaches
into objects); `{{` and `}}` are braces. There are no format specs, conversions, indexes or attributes, and values are
put in as plain text: nothing that a sample holds can act as a template. Leaves out chat formats (chat.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import BadPromptError
from core.reasons import Reject
from core.spec import PIXART_PROMPT

#: A published version is never edited: a better wording gets the next number.
PROMPTS: dict[str, str] = {
    "pixart-1": PIXART_PROMPT,
    "pixart-old-caption-1": (
        "Given the caption of this image '{old_text}', describe this image and its style in a very detailed manner"
    ),
    "dense-1": (
        "Describe everything that can be seen in this image: every object with its colour, material, number and "
        "place, what people and animals do, the background, the light and the style. State only what is visible."
    ),
    "dense-old-text-1": (
        "This image was published with the text '{old_text}'. Describe everything that can be seen in the image in "
        "detail. Use names from that text only where the image bears them out."
    ),
    "brief-1": "Describe this image in one sentence that names every object in it.",
}

_NAME_LIKE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*-\d+")
_FIELD = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*")
_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")

#: A part of a template: (True, field name) or (False, literal text).
Part = tuple[bool, str]


def resolve(prompt: str) -> str:
    """The template that `prompt` names, or `prompt` itself. Raises BadPromptError for a name that nobody gave."""
    if prompt in PROMPTS:
        return PROMPTS[prompt]
    if _NAME_LIKE.fullmatch(prompt):
        near = difflib.get_close_matches(prompt, PROMPTS, n=1)
        meant = f"; did you mean '{near[0]}'?" if near else "."
        raise BadPromptError(f"There is no prompt named '{prompt}'{meant}", hint=f"Names: {', '.join(PROMPTS)}.")
    return prompt


def check_prompt(prompt: str) -> None:
    """Raises BadPromptError when `prompt` (a name or a template) could not be used."""
    Template.parse(resolve(prompt))


def render(
    template: str, key: str, old_text: str | None, fields: Mapping[str, Any], defaults: Mapping[str, str]
) -> str | Reject:
    """Parses and fills in one step; see Template.render. Raises BadPromptError."""
    return Template.parse(template).render(key, old_text, fields, defaults)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed prompt template."""

    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises BadPromptError that names the place (counted from 1) and what is wrong there."""
        parts: list[Part] = []
        literal, end = "", 0
        for token in _TOKEN.finditer(text):
            literal += text[end : token.start()]
            end = token.end()
            found = token.group()
            if found in ("{{", "}}"):
                literal += found[0]
                continue
            if found in ("{", "}"):
                raise BadPromptError(f"The prompt has a lone '{found}' at character {token.start() + 1}.")
            name = found[1:-1]
            if not _FIELD.fullmatch(name):
                raise BadPromptError(f"The prompt has '{found}' at character {token.start() + 1}: that names no field.")
            parts += [(False, literal), (True, name)]
            literal = ""
        parts.append((False, literal + text[end:]))
        if not any(is_field or words.strip() for is_field, words in parts):
            raise BadPromptError("The prompt is empty.")
        return cls(tuple(part for part in parts if part[1]))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in order, `old_text` among them."""
        return tuple(name for is_field, name in self.parts if is_field)

    @property
    def literals(self) -> tuple[str, ...]:
        """The template's own words: what stands between the fields."""
        return tuple(words for is_field, words in self.parts if not is_field)

    def render(
        self, key: str, old_text: str | None, fields: Mapping[str, Any], defaults: Mapping[str, str]
    ) -> str | Reject:
        """The prompt of one sample, or the reject `missing_field` where a field has no value and no default."""
        words = []
        for is_field, text in self.parts:
            if not is_field:
                words.append(text)
                continue
            value = _text(old_text) if text == "old_text" else _text(_find(fields, text))
            if value is None:
                value = defaults.get(text)
            if value is None:
                what = "an old text" if text == "old_text" else f"a field '{text}' with a value"
                return Reject(key, "missing_field", f"The prompt asks for {what}, which sample '{key}' does not have.")
            words.append(value)
        return "".join(words)


def _find(fields: Mapping[str, Any], name: str) -> Any:
    """A field by its whole name, else step by step through objects."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def _text(value: Any) -> str | None:
    """A JSON value as words; None for what has none (null, blank text, objects, empty lists)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list | tuple):
        words = [_text(item) for item in value]
        return ", ".join(word for word in words if word) or None
    return None
