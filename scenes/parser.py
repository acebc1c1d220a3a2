"""Captions read back into partial scene graphs: the inverse of captions.py, and lenient on any other text.

Every text gives an answer, in time linear in its length; words that the demo world does not have are passed over.
Leaves out judging the answer (scorer.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from scenes.graph import Relation, Scene, Thing
from scenes.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    NOUNS,
    PATTERNS,
    RELATION_PHRASES,
    SIZES,
    STYLES,
    ZONE_PHRASES,
    plural,
)

#: Things beyond this number in one text are left out: a text of a megabyte must not fill the memory.
MOST_PARSED = 100
_NUMBERS: Final[dict[str, int]] = {
    word: number
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
#: Words that begin a new phrase: adjectives before them belong to something that was passed over.
_STARTERS: Final = frozenset(
    {"a", "an", "another", "and", "or", "with", "without", "there", "is", "are", "was", "were"}
    | {"of", "in", "at", "to", "by", "from", "against", "as", "it", "its", "this", "that"}
)


@dataclass(frozen=True, slots=True)
class PartialThing:
    """What a text says of one thing; None where it says nothing. Captions never say `plain`."""

    noun: str
    colour: str | None = None
    size: str | None = None
    pattern: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedScene:
    """What a text says of a scene, things in the order of their mention."""

    background: str | None = None
    style: str | None = None
    things: tuple[PartialThing, ...] = ()
    relations: tuple[Relation, ...] = ()

    def scene(self) -> Scene | None:
        """The whole scene, where the text says all of it (no pattern said means plain); None where it does not."""
        try:
            things = tuple(
                Thing(t.noun, t.colour or "", t.size or "", t.pattern or "plain", t.zone or "") for t in self.things
            )
            return Scene(self.background or "", self.style or "", things, self.relations)
        except ValueError:
            return None


def parse(text: str) -> ParsedScene:
    """What `text` says of a scene. Exact on dense and brief captions; never raises."""
    reader = _Reader()
    tokens = _TOKEN.findall(text.lower())
    at = 0
    while at < len(tokens):
        at += reader.take(tokens, at)
    return reader.result()


_TOKEN: Final = re.compile(r"[a-z]+|[0-9]+|[.!?\n]")


def _lexicon() -> dict[tuple[str, ...], tuple[str, str]]:
    """Token runs that mean something -> (kind, value)."""
    entries: dict[str, tuple[str, str]] = {}
    for noun in NOUNS:
        entries[plural(noun)] = ("nouns", noun)
        entries[noun] = ("noun", noun)
    for kind, words in (("colour", COLOURS), ("size", SIZES), ("pattern", PATTERNS)):
        entries.update({word: (kind, word) for word in words})
    for kind, words in (("background", BACKGROUNDS), ("style", STYLES)):
        entries.update({word: (kind, word) for word in words})
    entries["watercolor"] = ("style", "watercolour")
    entries.update({phrase: ("relation", kind) for kind, phrase in RELATION_PHRASES.items()})
    entries["on"] = ("relation", "on")
    for zone, phrase in ZONE_PHRASES.items():
        entries[phrase] = ("zone", zone)
        if " " in zone:
            entries[zone] = entries[f"{zone} corner"] = ("zone", zone)
    entries["in the center"] = entries["in the middle"] = ("zone", "centre")
    return {tuple(words.split()): meaning for words, meaning in entries.items()}


_LEXICON: Final = _lexicon()
_LONGEST: Final = max(map(len, _LEXICON))


@dataclass(slots=True)
class _Draft:
    """A thing while it is being read."""

    noun: str
    colour: str | None
    size: str | None
    pattern: str | None
    zone: str | None = None

    def fits(self, noun: str, adjectives: dict[str, str]) -> bool:
        """Whether `the <adjectives> <noun>` may mean this thing."""
        said = {"colour": self.colour, "size": self.size, "pattern": self.pattern}
        return noun == self.noun and all(said[kind] in (None, word) for kind, word in adjectives.items())


@dataclass(slots=True)
class _Mention:
    """Things named by one noun; `pointer` is the one that `one ...` spoke of last, -1 before the first."""

    members: list[int]
    pointer: int = -1

    def pointed(self) -> int:
        return self.members[min(max(self.pointer, 0), len(self.members) - 1)]


@dataclass(slots=True)
class _Reader:
    """Goes through tokens from left to right, one sentence at a time."""

    background: str | None = None
    style: str | None = None
    things: list[_Draft] = field(default_factory=list)
    relations: dict[Relation, None] = field(default_factory=dict)  # in order, each once
    # of the phrase
    adjectives: dict[str, str] = field(default_factory=dict)
    number: int | None = None
    definite: bool = False
    # of the sentence
    mention: _Mention | None = None
    earlier: _Mention | None = None
    zone_ahead: str | None = None
    open_relation: tuple[int, str] | None = None

    def take(self, tokens: list[str], at: int) -> int:
        """Reads the longest known run of tokens from `at` on; returns how many tokens it has, at least 1."""
        for length in range(min(_LONGEST, len(tokens) - at), 0, -1):
            meaning = _LEXICON.get(tuple(tokens[at : at + length]))
            if meaning is not None:
                following = tokens[at + length] if at + length < len(tokens) else ""
                self._understand(*meaning, following)
                return length
        self._other(tokens[at])
        return 1

    def result(self) -> ParsedScene:
        things = self.things
        for relation in self.relations:
            subject, base = things[relation.subject], things[relation.object]
            subject.zone = subject.zone or base.zone
        return ParsedScene(
            self.background,
            self.style,
            tuple(PartialThing(t.noun, t.colour, t.size, t.pattern, t.zone) for t in things),
            tuple(self.relations),
        )

    def _understand(self, kind: str, value: str, following: str) -> None:
        if kind in ("colour", "size", "pattern"):
            self.adjectives[kind] = value
        elif kind in ("noun", "nouns"):
            self._name(value, is_plural=kind == "nouns")
        elif kind == "zone":
            self._place(value)
        elif kind == "relation":
            self._relate(value, to_it=following == "it")
        else:
            self._end_phrase()
            self.open_relation = None
            if getattr(self, kind) is None:
                setattr(self, kind, value)

    def _other(self, token: str) -> None:
        if token in ".!?\n":
            self._end_phrase()
            self.mention = self.earlier = self.zone_ahead = self.open_relation = None
        elif token == "one" and self.mention is not None and len(self.mention.members) > 1:
            self._end_phrase()
            self.number = 1
            self.mention.pointer += 1
        elif token in _NUMBERS or token.isdigit() or token == "no":
            self._end_phrase()
            self.number = _number(token)
        elif token == "the" or token in _STARTERS:
            self._end_phrase()
            self.definite = token == "the"

    def _end_phrase(self) -> None:
        self.adjectives, self.number, self.definite = {}, None, False

    def _name(self, noun: str, *, is_plural: bool) -> None:
        """A noun: new things, or those that `the <noun>` was said of before."""
        members = self._known_before(noun) if self.definite and self.number is None else []
        if not members:
            number = self.number if self.number is not None else 1 + is_plural
            number = min(number, MOST_PARSED - len(self.things))
            members = list(range(len(self.things), len(self.things) + number))
            look = (self.adjectives.get("colour"), self.adjectives.get("size"), self.adjectives.get("pattern"))
            self.things.extend(_Draft(noun, *look, self.zone_ahead) for _ in members)
        self._end_phrase()
        self.zone_ahead = None
        if not members:
            return
        if self.open_relation is not None:
            self._add_relation(self.open_relation[0], self.open_relation[1], members[0])
            self.open_relation = None
        self.earlier, self.mention = self.mention, _Mention(members)

    def _known_before(self, noun: str) -> list[int]:
        return [i for i, draft in enumerate(self.things) if draft.fits(noun, self.adjectives)][:1]

    def _place(self, zone: str) -> None:
        """A place: of the member that `one` points at, of what was just named, or else of what comes next."""
        self._end_phrase()
        self.open_relation = None
        mention = self.mention
        targets = [] if mention is None else mention.members if mention.pointer < 0 else [mention.pointed()]
        if targets and all(self.things[i].zone is None for i in targets):
            for i in targets:
                self.things[i].zone = zone
        else:
            self.zone_ahead = zone

    def _relate(self, kind: str, *, to_it: bool) -> None:
        """A relation: to `it`, the thing named before the last one, or to the noun that comes next."""
        self._end_phrase()
        if self.mention is None:
            return
        if not to_it:
            self.open_relation = (self.mention.pointed(), kind)
        elif self.earlier is not None:
            self._add_relation(self.mention.pointed(), kind, self.earlier.pointed())
            # "one at the top with a cup beside it, and one on the right": the next words are of the stars again
            self.mention, self.earlier = self.earlier, None

    def _add_relation(self, subject: int, kind: str, base: int) -> None:
        if subject != base:
            self.relations[Relation(subject, kind, base)] = None


def _number(token: str) -> int | None:
    """0 to 12 from a word or figures; None for larger figures, which count nothing here."""
    if token == "no":
        return 0
    if token in _NUMBERS:
        return _NUMBERS[token]
    return int(token) if len(token) <= 2 and int(token) <= 12 else None
