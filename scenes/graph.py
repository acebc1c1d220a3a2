"""The scene graph: things with looks and places, relations between them; drawing scenes at random from a seed.

Leaves out words (captions.py) and pixels (boxes.py, renderer.py). Every other module of this room reads scenes from
here; a scene that exists is a valid one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scenes.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    HIDDEN_COLOURS,
    HIDDEN_IN_STYLE,
    NOUNS,
    PATTERNS,
    RELATIONS,
    SIZES,
    STYLES,
    UNFIT_NOUNS,
    UNFIT_STYLES,
    ZONES,
)

MOST_THINGS = 6
_PATTERN_WEIGHTS = (0.6, 0.2, 0.2)
_GROUP_CHANCE = 0.35
_RELATION_CHANCE = 0.45
_SECOND_RELATION_CHANCE = 0.3


@dataclass(frozen=True, slots=True)
class Thing:
    """One drawn thing. Raises ValueError on a word that the vocabulary does not have."""

    noun: str
    colour: str
    size: str
    pattern: str
    zone: str

    def __post_init__(self) -> None:
        _known(self.noun, NOUNS, "noun")
        _known(self.colour, COLOURS, "colour")
        _known(self.size, SIZES, "size")
        _known(self.pattern, PATTERNS, "pattern")
        _known(self.zone, ZONES, "zone")

    @property
    def look(self) -> tuple[str, str, str, str]:
        """Everything but the place: things of equal looks are counted together in captions."""
        return (self.noun, self.colour, self.size, self.pattern)


@dataclass(frozen=True, slots=True)
class Relation:
    """`things[subject]` stands `kind` (on, under, beside, in front of) `things[object]`."""

    subject: int
    kind: str
    object: int


@dataclass(frozen=True, slots=True)
class Scene:
    """1 to 6 things on a background, in a style.

    A thing that is the subject of a relation shares its object's zone; all other things stand in zones of their own.
    A thing is the subject of one relation at most, the object of one at most, and never both. Things are kept in
    canonical order (by zone, row by row; a subject behind its object), whatever order they are given in, so that
    scenes of equal content are equal. Raises ValueError on anything else.
    """

    background: str
    style: str
    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
        _known(self.background, BACKGROUNDS, "background")
        _known(self.style, STYLES, "style")
        things, relations = tuple(self.things), tuple(self.relations)
        _check_places(things, relations)
        subjects = {relation.subject for relation in relations}
        order = sorted(range(len(things)), key=lambda i: (ZONES.index(things[i].zone), i in subjects))
        place = {old: new for new, old in enumerate(order)}
        moved = (Relation(place[r.subject], r.kind, place[r.object]) for r in relations)
        object.__setattr__(self, "things", tuple(things[i] for i in order))
        object.__setattr__(self, "relations", tuple(sorted(moved, key=lambda r: r.subject)))

    @property
    def main(self) -> Thing:
        """The main object: the first of the large things, or the first of all."""
        return next((thing for thing in self.things if thing.size == "large"), self.things[0])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives an equal scene back."""
        return {
            "background": self.background,
            "style": self.style,
            "things": [
                {"noun": t.noun, "colour": t.colour, "size": t.size, "pattern": t.pattern, "zone": t.zone}
                for t in self.things
            ],
            "relations": [{"subject": r.subject, "kind": r.kind, "object": r.object} for r in self.relations],
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Scene:
        """The scene that `to_dict` wrote. Raises ValueError on fields that are missing, unknown or contradictory."""
        try:
            things = tuple(Thing(**thing) for thing in value["things"])
            relations = tuple(Relation(**relation) for relation in value.get("relations", ()))
            return cls(value["background"], value["style"], things, relations)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"This is no scene: {error}.") from error


def _known(word: str, words: tuple[str, ...], what: str) -> None:
    if word not in words:
        raise ValueError(f"{word!r} is no {what} of the demo world.")


def _check_places(things: tuple[Thing, ...], relations: tuple[Relation, ...]) -> None:
    if not 1 <= len(things) <= MOST_THINGS:
        raise ValueError(f"A scene holds 1 to {MOST_THINGS} things, not {len(things)}.")
    related: set[int] = set()
    for relation in relations:
        _known(relation.kind, RELATIONS, "relation")
        ends = {relation.subject, relation.object}
        if len(ends) < 2 or related & ends or not ends <= set(range(len(things))):
            raise ValueError("A relation binds two things of the scene, and a thing has one relation at most.")
        if things[relation.subject].zone != things[relation.object].zone:
            raise ValueError("A subject shares its object's zone.")
        related |= ends
    subjects = {relation.subject for relation in relations}
    zones = [thing.zone for i, thing in enumerate(things) if i not in subjects]
    if len(set(zones)) < len(zones):
        raise ValueError("Things without a relation between them stand in different zones.")


def sample_scene(rng: np.random.Generator, *, things: tuple[int, int] = (1, MOST_THINGS), large: bool = False) -> Scene:
    """A scene drawn at random, of `things[0]` to `things[1]` things; the same generator state gives the same scene.

    Colours that the background or style would hide are not drawn. A subject is always small, and its look is found
    nowhere else in the scene; with `large` all things are large, and no relation is drawn. Raises ValueError unless
    1 <= things[0] <= things[1] <= 6.
    """
    while True:
        scene = _any_scene(rng, *things)
        if not large or all(thing.size == "large" for thing in scene.things):
            return scene


def _any_scene(rng: np.random.Generator, least: int, most: int) -> Scene:
    if not 1 <= least <= most <= MOST_THINGS:
        raise ValueError(f"A scene holds 1 to {MOST_THINGS} things, not {least} to {most}.")
    background = _pick(rng, BACKGROUNDS)
    style = _pick(rng, [s for s in STYLES if s not in UNFIT_STYLES.get(background, ())])
    number = int(rng.integers(least, most + 1))
    pairs = _pair_count(rng, number)
    draw = _LookDrawer(rng, background, style)
    bases = [Thing(*look, zone) for look, zone in zip(draw.bases(number - pairs), draw.zones(), strict=False)]
    drawn, relations = list(bases), []
    for base in rng.permutation(len(bases))[:pairs]:
        anchor = bases[int(base)]
        kinds = [kind for kind in RELATIONS if anchor.size == "large" or kind != "in front of"]
        relations.append(Relation(len(drawn), _pick(rng, kinds), int(base)))
        drawn.append(Thing(*draw.subject({thing.noun for thing in drawn}), anchor.zone))
    return Scene(background, style, tuple(drawn), tuple(relations))


def _pick(rng: np.random.Generator, words: list[str] | tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _pair_count(rng: np.random.Generator, number: int) -> int:
    """How many relations a scene of `number` things gets: none, one or two."""
    first, second = rng.random(2)
    if number < 2 or first >= _RELATION_CHANCE:
        return 0
    return 2 if number >= 4 and second < _SECOND_RELATION_CHANCE else 1


class _LookDrawer:
    """Draws looks (noun, colour, size, pattern) that are seen well on one background, in one style."""

    def __init__(self, rng: np.random.Generator, background: str, style: str) -> None:
        self._rng = rng
        hidden = HIDDEN_COLOURS[background] | HIDDEN_IN_STYLE.get(style, frozenset())
        self._nouns = [noun for noun in NOUNS if noun not in UNFIT_NOUNS.get(background, ())]
        self._colours = [colour for colour in COLOURS if colour not in hidden]

    def zones(self) -> list[str]:
        return [ZONES[int(i)] for i in self._rng.permutation(len(ZONES))]

    def bases(self, number: int) -> list[tuple[str, str, str, str]]:
        """`number` looks, at times with a group of two to four equal ones."""
        looks = [self._look(self._nouns, _pick(self._rng, SIZES)) for _ in range(number)]
        if number > 1 and self._rng.random() < _GROUP_CHANCE:
            alike = int(self._rng.integers(2, min(number, 4) + 1))
            looks[:alike] = [looks[0]] * alike
        return looks

    def subject(self, taken: set[str]) -> tuple[str, str, str, str]:
        """A small look whose noun is not among those taken."""
        return self._look([noun for noun in self._nouns if noun not in taken], "small")

    def _look(self, nouns: list[str], size: str) -> tuple[str, str, str, str]:
        noun, colour = _pick(self._rng, nouns), _pick(self._rng, self._colours)
        return (noun, colour, size, str(self._rng.choice(PATTERNS, p=_PATTERN_WEIGHTS)))
