"""Scenes put into words: a dense caption that says everything, and a brief one that names things and background.

Both are functions of the scene alone, in one fixed order, so that a model can learn to write them word for word;
parser.py reads them back. Leaves out false and broken texts (oldtext.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scenes.graph import Relation, Scene, Thing
from scenes.vocabulary import (
    BACKGROUND_PLACES,
    BACKGROUND_VIEWS,
    NUMBERS,
    RELATION_PHRASES,
    STYLE_CLOSINGS,
    STYLE_OPENINGS,
    ZONE_PHRASES,
    plural,
    with_article,
)


def dense(scene: Scene) -> str:
    """A caption of 35 to about 100 words: style and background, every thing with look and place, style again.

    Things of equal looks are counted in one sentence; a thing that stands in a relation follows the thing that it is
    related to.
    """
    companions = {relation.object: relation for relation in scene.relations}
    sentences = [f"{STYLE_OPENINGS[scene.style]} {BACKGROUND_VIEWS[scene.background]}."]
    for number, group in enumerate(_groups(scene)):
        sentence = _one(scene, group[0], companions, number) if len(group) == 1 else _several(scene, group, companions)
        sentences.append(sentence)
    return " ".join([*sentences, STYLE_CLOSINGS[scene.style]])


def brief(scene: Scene) -> str:
    """One sentence: the things by number, colour and noun, and where they are."""
    counts = Counter((thing.noun, thing.colour) for thing in scene.things)
    names = [
        with_article(f"{colour} {noun}") if number == 1 else f"{NUMBERS[number]} {colour} {plural(noun)}"
        for (noun, colour), number in counts.items()
    ]
    verb = "is" if len(scene.things) == 1 else "are"
    return _capital(f"{join_with_and(names)} {verb} {BACKGROUND_PLACES[scene.background]}.")


def describe(thing: Thing, number: int = 1) -> str:
    """Size, pattern, colour and noun, with an article or a number word: `an orange cup`, `two large red fish`."""
    pattern = "" if thing.pattern == "plain" else f"{thing.pattern} "
    look = f"{thing.size} {pattern}{thing.colour}"
    if number == 1:
        return with_article(f"{look} {thing.noun}")
    return f"{NUMBERS[number]} {look} {plural(thing.noun)}"


def join_with_and(parts: Sequence[str], *, serial: bool = False) -> str:
    """`a, b and c`; with `serial`, a comma stands before the last `and` too, also between two."""
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + (", and " if serial else " and ") + parts[-1]


def _groups(scene: Scene) -> list[list[int]]:
    """Indices of the things that are no subjects, those of equal looks together, in order of their first."""
    subjects = {relation.subject for relation in scene.relations}
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for index, thing in enumerate(scene.things):
        if index not in subjects:
            groups.setdefault(thing.look, []).append(index)
    return list(groups.values())


def _one(scene: Scene, index: int, companions: dict[int, Relation], number: int) -> str:
    """A sentence on one thing; every other sentence begins with the place, so that captions do not drone."""
    thing = scene.things[index]
    what, where = describe(thing), ZONE_PHRASES[thing.zone]
    sentence = f"{where} there is {what}" if number % 2 else f"{what} is {where}"
    if index in companions:
        sentence += f", {_company(scene, companions[index])}"
    return _capital(f"{sentence}.")


def _several(scene: Scene, group: list[int], companions: dict[int, Relation]) -> str:
    """A sentence that counts equal things and gives each its place."""
    places = [
        f"one {ZONE_PHRASES[scene.things[i].zone]}" + (f" {_company(scene, companions[i])}" if i in companions else "")
        for i in group
    ]
    in_company = any(i in companions for i in group)
    first = scene.things[group[0]]
    return f"There are {describe(first, len(group))}: {join_with_and(places, serial=in_company)}."


def _company(scene: Scene, relation: Relation) -> str:
    return f"with {describe(scene.things[relation.subject])} {RELATION_PHRASES[relation.kind]} it"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
