"""Doubts about a caption, as flags, and the one repair that a spec may ask for: cutting a stock opening off.

Rules look at words only and need no model. docs/captioning.md states each rule; a flag never removes a caption.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

#: Repeats that make a loop: at least this many copies of a block of words side by side, covering LOOP_WORDS words.
LOOP_COPIES = 3
LOOP_WORDS = 12
LOOP_LONGEST_BLOCK = 30  # words
#: A sentence of at least this many words that stands this often in one caption is a loop too.
SENTENCE_WORDS = 5
SENTENCE_COPIES = 3
#: So many words of the prompt in a row, anywhere in the caption, are an echo.
ECHO_WORDS = 8
#: A refusal is looked for in so many characters at the start.
REFUSAL_CHARACTERS = 200

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?。])\s+|\n+")
#: What leaks from the chat format that the model was trained in: role marks, and Vicuna's opening sentence, which
#: LLaVA-1.5 sometimes paints into the scene ("An artificial intelligence assistant is standing in front of a train").
_CHAT_MARK = re.compile(
    r"^\s*(?:Human|Assistant|###\s*\w+)\s*:|\bUSER:|\bASSISTANT:|<\|?im_(?:start|end)"
    r"|(?i:\b(?:artificial intelligence|AI) assistant\b|\bchat between a curious (?:human|user)\b)"
)

_I = r"(?:I|i)"
_REFUSALS = re.compile(
    rf"""
      ^\W*(?:(?:{_I}['’]?m|{_I}\ am)\ (?:\w+\ ){{0,2}}?(?:sorry|unable|not\ able|not\ allowed)\b)
    | ^\W*(?:sorry|apologies|my\ apologies)\b\s*[,.!:;—-]
    | ^\W*{_I}\ (?:do\ )?(?:must\ )?apologi[sz]e\b
    | (?:^|[,.;:!?]\s+|\b(?:but|and|unfortunately|however),?\s+)
      {_I}\ (?:can(?:no|['’])?t|can\ not|am\ unable\ to|am\ not\ able\ to
            |(?:do\ not|don['’]t)\ have\ (?:the\ )?ability\ to|won['’]t|will\ not|must\ decline\ to)
      \s+(?:\w+\s+){{0,2}}?
      (?:help|assist|comply|describe|see|view|access|provide|identify|process|generate|answer|fulfil|fulfill|open|display)
    | ^\W*(?:hello|hi)\b.{{0,20}}?\b(?:here\ to|how\ (?:can|may)\ I)\ (?:help|assist)
    | \b[Aa]s\ an?\ (?:AI|language\ model|artificial\ intelligence|large\ language\ model|text-based)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)

_SUBJECT = r"(?:the|this)\s+(?:provided\s+|given\s+|main\s+)?(?:image|picture|photo|photograph|photography|scene)"
_VERB = (
    r"(?:primarily\s+|prominently\s+|mainly\s+|also\s+)?(?:features?|shows?|depicts?|displays?|portrays?|presents?|showcases?|captures?|"
    r"contains?|illustrates?|consists\s+of|is\s+of|is(?=\s+an?\s)|describes?|represents?|shows\s+us)"
)
#: Stock openings. What stands before the caption's own words, up to and with the space that follows.
_OPENING = re.compile(
    rf"""^\s*(?:
        {_SUBJECT}\s+{_VERB}\s+(?:that\s+)?
      | in\s+{_SUBJECT}\s*,?\s+(?:we\s+(?:can\s+)?see\s+|you\s+(?:can\s+)?see\s+|there\s+(?:is|are)\s+)?
      | (?:this|it|here)\s+is\s+an?\s+(?:image|picture|photo|photograph)\s+(?:of|showing|that\s+shows)\s+
      | an?\s+(?:image|picture|photo|photograph)\s+(?:of|showing|that\s+shows)\s+
      | (?:sure|certainly|of\s+course)\s*[,!.:]\s*(?:here(?:['’]s|\s+is)\s[^.:\n]{{0,60}}[.:]\s*)?
      | i\s+can\s+provide\s+(?:you\s+)?(?:with\s+)?[^.\n]{{0,60}}\.\s+
      | here(?:['’]s|\s+is)\s+(?:an?|the)\s+(?:\w+\s+){{0,2}}(?:description|caption)[^.:\n]{{0,60}}[.:]\s+
      | (?:we|you)\s+can\s+see\s+(?:in\s+{_SUBJECT}\s*,?\s+)?
    )(?=\S)""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A caption after the checks: its text (white space at the ends is gone) and its flags, sorted."""

    text: str
    flags: tuple[str, ...]


def check_caption(
    text: str, finish_reason: str, prompt_literals: Sequence[str] = (), strip_opening: bool = False
) -> Checked:
    """Flags a caption. `prompt_literals` are the template's own words: old text in a prompt may well be repeated."""
    text = text.strip()
    flags: set[str] = set()
    if finish_reason == "length":
        flags.add("cut_off")
    if finish_reason == "watchdog" or is_loop(text):
        flags.add("loop")
    if is_empty(text):
        return Checked(text, tuple(sorted(flags | {"empty"})))
    if is_refusal(text):
        flags.add("refusal")
    if is_prompt_echo(text, prompt_literals):
        flags.add("prompt_echo")
    if has_stock_opening(text):
        stripped = cut_opening(text) if strip_opening else text
        flags.add("stripped" if stripped != text else "boilerplate")
        text = stripped
    return Checked(text, tuple(sorted(flags)))


def is_empty(text: str) -> bool:
    """No letter and no digit."""
    return not any(character.isalnum() for character in text)


def is_refusal(text: str) -> bool:
    """The model speaks of itself at the start: sorry, unable, cannot help or describe, 'as an AI'."""
    return _REFUSALS.search(text[:REFUSAL_CHARACTERS]) is not None


def is_loop(text: str) -> bool:
    """A block of words repeated side by side, or one sentence over and over (the module's constants say how much)."""
    return _has_repeated_block(words_of(text)) or _has_repeated_sentence(text)


def is_prompt_echo(text: str, prompt_literals: Sequence[str]) -> bool:
    """Chat markers, a run of the prompt's words, or a whole short prompt at the start."""
    if _CHAT_MARK.search(text):
        return True
    words = words_of(text)
    for literal in prompt_literals:
        asked = words_of(literal)
        if 3 <= len(asked) < ECHO_WORDS and words[: len(asked)] == asked:
            return True
        runs = {tuple(asked[start : start + ECHO_WORDS]) for start in range(len(asked) - ECHO_WORDS + 1)}
        if runs and any(tuple(words[at : at + ECHO_WORDS]) in runs for at in range(len(words) - ECHO_WORDS + 1)):
            return True
    return False


def has_stock_opening(text: str) -> bool:
    """Opens with 'The image features', 'In this picture, there is', 'A photo of' or kin."""
    return _OPENING.match(text) is not None


def cut_opening(text: str) -> str:
    """`text` without its stock opening, begun with a capital; `text` itself where no word would be left."""
    found = _OPENING.match(text)
    rest = text[found.end() :] if found else text
    return text if is_empty(rest) else rest[0].upper() + rest[1:]


def words_of(text: str) -> list[str]:
    """Words in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def _has_repeated_block(words: list[str]) -> bool:
    for size in range(1, min(LOOP_LONGEST_BLOCK, len(words) // LOOP_COPIES) + 1):
        copies = max(LOOP_COPIES, math.ceil(LOOP_WORDS / size))
        needed = (copies - 1) * size  # so many words in a row equal the word `size` places before them
        run = 0
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] else 0
            if run >= needed:
                return True
    return False


def _has_repeated_sentence(text: str) -> bool:
    sentences = (tuple(words_of(sentence)) for sentence in _SENTENCE_END.split(text))
    counts = Counter(sentence for sentence in sentences if len(sentence) >= SENTENCE_WORDS)
    return any(count >= SENTENCE_COPIES for count in counts.values())
