"""The words of the demo world: what can be drawn, how it looks, where it stands, and the fixed phrases of captions.

Leaves out how anything is drawn (shapes/, renderer.py) and how sentences are put together (captions.py). Two rules
bind the fixed phrases: none of them holds one of `NOUNS`, so that a noun in a caption is always a thing of the
scene, and the renderer paints what a background's view says.
"""

from __future__ import annotations

from typing import Final

#: Everything that can stand in a scene: countable, of one word, told apart by its outline alone.
NOUNS: Final[tuple[str, ...]] = (
    "apple",
    "ball",
    "balloon",
    "banana",
    "bed",
    "bell",
    "bench",
    "bicycle",
    "bird",
    "boat",
    "book",
    "bottle",
    "bowl",
    "bridge",
    "bucket",
    "bus",
    "butterfly",
    "cactus",
    "cake",
    "candle",
    "car",
    "cat",
    "chair",
    "clock",
    "cloud",
    "cup",
    "dog",
    "door",
    "drum",
    "fish",
    "flag",
    "flower",
    "fork",
    "guitar",
    "hat",
    "heart",
    "house",
    "key",
    "kite",
    "ladder",
    "lamp",
    "leaf",
    "lighthouse",
    "moon",
    "mushroom",
    "pencil",
    "plane",
    "rocket",
    "shoe",
    "snail",
    "snowman",
    "star",
    "table",
    "tent",
    "tree",
    "truck",
    "umbrella",
    "windmill",
)

_IRREGULAR_PLURALS: Final[dict[str, str]] = {
    "cactus": "cacti",
    "fish": "fish",
    "leaf": "leaves",
    "snowman": "snowmen",
}

COLOURS: Final[tuple[str, ...]] = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
)

SIZES: Final[tuple[str, ...]] = ("small", "large")

#: `plain` is the look without a pattern; captions leave the word out.
PATTERNS: Final[tuple[str, ...]] = ("plain", "striped", "spotted")

#: Nine fields of a 3 x 3 grid, row by row: the order in which captions go through a scene.
ZONE_PHRASES: Final[dict[str, str]] = {
    "top left": "in the top left corner",
    "top": "at the top",
    "top right": "in the top right corner",
    "left": "on the left",
    "centre": "in the centre",
    "right": "on the right",
    "bottom left": "in the bottom left corner",
    "bottom": "at the bottom",
    "bottom right": "in the bottom right corner",
}
ZONES: Final[tuple[str, ...]] = tuple(ZONE_PHRASES)

#: How a subject stands to its object, as captions say it.
RELATION_PHRASES: Final[dict[str, str]] = {
    "on": "on top of",
    "under": "under",
    "beside": "beside",
    "in front of": "in front of",
}
RELATIONS: Final[tuple[str, ...]] = tuple(RELATION_PHRASES)

#: What a dense caption's opening says of each background; the renderer paints these words.
BACKGROUND_VIEWS: Final[dict[str, str]] = {
    "sea": "a calm blue sea with low waves under a wide sky",
    "snow": "a field of snow with soft white drifts under a cold sky",
    "night sky": "a dark night sky with many tiny points of light",
    "desert": "a dry desert with sandy dunes under a wide sky",
    "meadow": "a green meadow with rolling hills under a clear sky",
    "forest": "a deep forest with tall dark trunks and mossy ground",
    "brick wall": "an old brick wall with even rows of red bricks",
    "city street": "a grey city street with a row of tall office towers",
    "beach": "a sandy beach with a strip of blue water behind it",
    "kitchen": "a tidy kitchen with white tiles above a wooden counter",
    "stage": "a wooden stage with red curtains and a beam of light",
    "sunset sky": "a glowing sunset sky that fades from orange to pink",
}
BACKGROUNDS: Final[tuple[str, ...]] = tuple(BACKGROUND_VIEWS)

#: Where a brief caption says its things are.
BACKGROUND_PLACES: Final[dict[str, str]] = {
    "sea": "at sea",
    "snow": "in the snow",
    "night sky": "in the night sky",
    "desert": "in the desert",
    "meadow": "in a meadow",
    "forest": "in a forest",
    "brick wall": "against a brick wall",
    "city street": "on a city street",
    "beach": "at the beach",
    "kitchen": "in a kitchen",
    "stage": "on a stage",
    "sunset sky": "in a sunset sky",
}

#: How a dense caption begins in each style; a background's view follows.
STYLE_OPENINGS: Final[dict[str, str]] = {
    "flat": "This flat illustration shows",
    "outline": "This outline drawing shows",
    "watercolour": "This watercolour painting shows",
    "dusk": "This picture, made at dusk, shows",
    "pixel art": "This piece of pixel art shows",
}
STYLES: Final[tuple[str, ...]] = tuple(STYLE_OPENINGS)

#: How a dense caption ends in each style; the renderer's styles look like these words.
STYLE_CLOSINGS: Final[dict[str, str]] = {
    "flat": "The style is flat, with clean shapes, smooth surfaces and bright, even colours.",
    "outline": "The style is that of an outline drawing, with dark lines around every shape.",
    "watercolour": "The style is watercolour, with soft edges, gentle washes and a faint grain of paper.",
    "dusk": "The light is that of dusk, warm and dim, with deep shadows and a gentle glow.",
    "pixel art": "The style is pixel art, with square blocks of colour and hard, stepped edges.",
}

#: Colours that would be lost on a background; no thing of a sampled scene has them there.
HIDDEN_COLOURS: Final[dict[str, frozenset[str]]] = {
    "sea": frozenset({"blue"}),
    "snow": frozenset({"white"}),
    "night sky": frozenset({"black", "blue"}),
    "desert": frozenset({"yellow", "orange", "brown"}),
    "meadow": frozenset({"green"}),
    "forest": frozenset({"green", "brown", "black"}),
    "brick wall": frozenset({"red", "orange", "brown"}),
    "city street": frozenset({"black"}),
    "beach": frozenset({"yellow", "blue"}),
    "kitchen": frozenset({"white", "brown"}),
    "stage": frozenset({"red", "brown"}),
    "sunset sky": frozenset({"orange", "pink", "purple"}),
}
#: Colours that would be lost in a style, on any background.
HIDDEN_IN_STYLE: Final[dict[str, frozenset[str]]] = {"dusk": frozenset({"black"})}

#: Things that a background's own details could be taken for.
UNFIT_NOUNS: Final[dict[str, frozenset[str]]] = {
    "forest": frozenset({"tree"}),
    "night sky": frozenset({"star"}),
}

#: Styles that a background contradicts: a night sky is not seen at dusk.
UNFIT_STYLES: Final[dict[str, frozenset[str]]] = {"night sky": frozenset({"dusk"})}

#: Number words; a scene holds six things at most.
NUMBERS: Final[tuple[str, ...]] = ("zero", "one", "two", "three", "four", "five", "six")


def plural(noun: str) -> str:
    """The plural of one of `NOUNS`."""
    if noun in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[noun]
    if noun.endswith(("s", "x", "sh", "ch")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def with_article(phrase: str) -> str:
    """The phrase behind `a` or `an`, by the sound of its first letter (no word here has a silent h or a long u)."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
