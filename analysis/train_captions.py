"""Caption-like sentences with gold parts of speech, to train the English tagger on: the verbs of captions are rare or
absent in newswire and forums, and many are spelled like plural nouns (the image *features*, a sign *reads*).

Every sentence is a template of our own; its slots are filled with words of the treebank. Serves train_en.py alone.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from analysis.lexicon import Lexicon
from analysis.treebank import Sentence

#: Tags of the templates; a word without a slash is a slot.
TAGS = {
    "A": "ADJ", "C": "CCONJ", "D": "DET", "I": "PRON", "N": "NOUN", "P": "ADP", "R": "ADV", "S": "SCONJ", "T": "PART",
    "U": "NUM", "V": "VERB", "X": "AUX", ".": "PUNCT",
}  # fmt: skip
#: Words for the slots, with their tag. `adj`, `noun`, `nouns` and `name` are filled from the treebank.
SLOTS = {
    "pic": ("NOUN", "image picture photo photograph scene painting drawing illustration video shot frame view poster"),
    "shows": (
        "VERB",
        "features shows displays captures depicts showcases contains includes presents highlights focuses frames"
        " illustrates portrays reveals conveys evokes details pictures documents screens spotlights",
    ),
    "who": (
        "NOUN",
        "man woman boy girl child person player surfer skier rider skateboarder dog cat horse bird bear cow sheep"
        " elephant giraffe zebra bus train plane boat car truck bike sign clock tower statue bridge vase table shelf",
    ),
    "whos": ("NOUN", "men women boys girls children people players surfers skiers dogs cats horses birds cows trains"),
    "does": (
        "VERB",
        "rests stands sits lies waves grazes poses looks surfs rides runs walks jumps plays swings slides turns floats"
        " flies glows shines smiles laughs stares gazes rolls rises falls sails skis skates races sleeps naps feeds"
        " perches dances drives bikes climbs leans waits works drops leaves lands hovers blooms spins splashes peers"
        " snacks trots kneels crouches swims dives reads drinks eats cooks talks heads tops towers stretches parks",
    ),
    "do": (
        "VERB",
        "rest stand sit lie wave graze pose look surf ride run walk jump play swing slide turn float fly glow shine"
        " smile laugh stare gaze roll rise fall sail ski skate race sleep nap feed perch dance drive bike climb lean"
        " wait work drop leave land hover bloom spin splash peer snack swim dive read drink eat cook talk head park",
    ),
    "doest": (
        "VERB",
        "holds catches crosses faces reaches covers surrounds lines fills frames flanks borders overlooks marks tops"
        " lights casts cuts bites hits throws kicks pulls pushes rides carries wears watches touches spans dots hugs"
        " pets grooms chases tows shades supports displays blocks circles hosts houses matches mirrors boards clouds"
        " decorates adorns accents drapes encircles lifts grabs grips paints swings tosses serves returns pitches",
    ),
    "dot": (
        "VERB",
        "hold catch cross face reach cover surround line fill frame flank border overlook mark top light cast cut bite"
        " hit throw kick pull push ride carry wear watch touch span dot hug pet chase tow shade support display block",
    ),
    "doing": (
        "VERB",
        "holding riding wearing carrying watching eating throwing catching hitting pulling pushing walking facing"
        " reading cutting feeding crossing using playing flying touching swinging serving",
    ),
    "going": (
        "VERB",
        "sitting standing walking running grazing posing surfing skiing lying resting flying jumping leaning waiting"
        " playing sleeping looking smiling parked seated perched dressed gathered covered piled stacked lined",
    ),
    "things": (
        "NOUN",
        "features leaves drops waves lights lines shadows frames borders towers dots shades covers marks points tops"
        " looks drinks swings slides rolls rows bikes ships trains parks crosses faces rides runs walks jumps cuts hits"
        " displays shows matches boards houses clouds trees screens skis skates plays turns works reflections signs",
    ),
    "thing": (
        "NOUN",
        "feature leaf drop wave light line shadow frame border tower dot shade cover mark point top look drink swing"
        " slide roll row bike ship train park cross face ride run walk jump cut hit display show match board house"
        " cloud blur bokeh frosting backdrop setting surface texture pattern silhouette",
    ),
    "in": ("ADP", "in on near with by under behind above across along over through beside against at around from"),
    "few": ("ADJ", "several many other various different multiple few"),
    "two": ("NUM", "two three four five"),
    "part": ("NOUN", "foreground background distance center middle corner left right front side top bottom"),
    "group": ("NOUN", "set group pair couple bunch variety number row pile stack series collection bowl plate cup"),
    "color": ("ADJ", "red blue green white black brown yellow orange pink gray purple golden"),
}
TEMPLATES = """\
the/D pic shows a/D adj noun in a/D noun
the/D pic shows a/D noun and/C two nouns in a/D adj noun
this/D pic shows the/D nouns of/P a/D adj noun
a/D adj pic shows the/D who in the/D part
the/D pic also/R shows few nouns in the/D noun
the/D pic shows a/D group of/P nouns in the/D part
in/P the/D pic ,/. a/D who does in the/D noun
a/D who does in a/D adj noun
a/D color who does in/P front/N of/P a/D noun
the/D who does in the/D noun and/C does in the/D noun
one/U who does while/S another/D does in the/D noun
a/D who doest a/D noun in the/D noun
a/D adj who doest the/D things of/P a/D noun
a/D who doest two nouns in a/D noun
a/D who and/C a/D who do in the/D noun
two adj whos do in the/D noun
few whos do in a/D noun with/P things
whos do and/C dot nouns in the/D noun
whos dot a/D adj noun in/P the/D part
few whos dot the/D things in a/D noun
a/D who is/X doing a/D noun in a/D adj noun
a/D who is/X going in the/D noun
a/D who going in a/D noun with/P a/D adj noun
who doing a/D noun in the/D noun
whos going in a/D color noun
two whos are/X going in/P the/D part of/P the/D noun
a/D group of/P whos going in a/D noun
a/D group of/P adj things in a/D noun
a/D group of/P two nouns and/C a/D noun
the/D things of/P the/D noun are/X color
color things in a/D noun
adj thing of/P a/D noun
the/D thing of/P a/D who in a/D noun
a/D noun with/P color things and/C a/D thing
there/I are/V few things in the/D noun
there/I is/V a/D thing in the/D part of/P the/D pic
things do in the/D noun
the/D adj things dot a/D noun
adj noun ,/. color things ,/. adj thing
a/D noun covered/V with/P things
a/D thing and/C things in/P the/D part
the/D who in the/D part doest a/D color thing
a/D noun sits/V on/P top/N of/P a/D thing
the/D noun leaves/V the/D noun
water/N drops/N on/P a/D color noun
water/N drips/V from/P the/D things
the/D sun/N casts/V adj shadows/N in the/D noun
the/D adj thing adds/V a/D noun to/P the/D pic
the/D thing draws/V the/D noun 's/T noun
a/D sign/N reads/V the/D noun
a/D vase/N holds/V a/D group of/P nouns
the/D noun spans/V the/D noun
a/D noun hangs/V above/P a/D thing
a/D thing hangs/V in the/D noun
a/D noun with/P a/D who who/I does
the/D who looks/V adj
the/D who 's/T looks/N are/X adj
the/D pic is/X adj and/C abstract/A
an/D abstract/A pic of/P nouns
close/N up/N of/P a/D noun with/P things
a/D close/N -/. up/N of/P a/D who in a/D noun
name does in a/D noun
name doest a/D adj noun in the/D noun
"""


class Captions:
    """Makes sentences; words for the open slots are those that `sentences` use twice or more as such.

    Draws from the `dice` it is given, so the same seed gives the same sentences.
    """

    def __init__(self, sentences: list[Sentence], lexicon: Lexicon) -> None:
        words = {slot: (tag, listed.split()) for slot, (tag, listed) in SLOTS.items()}
        used = Counter(pair for s in sentences for pair in zip(s.words, s.tags, strict=True) if pair[0].isalpha())
        often = [word_tag for word_tag, count in used.items() if count > 1]
        lower = {tag: sorted(word for word, t in often if t == tag and word.islower()) for tag in ("ADJ", "NOUN")}
        words["adj"] = ("ADJ", lower["ADJ"])
        words["noun"] = ("NOUN", [word for word in lower["NOUN"] if "N" in lexicon.kind(word)])
        words["nouns"] = ("NOUN", [word for word in lower["NOUN"] if "n" in lexicon.kind(word)])
        words["name"] = ("PROPN", sorted(word for word, tag in often if tag == "PROPN" and word.istitle()))
        self._slots = words
        self._templates = [line.split() for line in TEMPLATES.splitlines()]

    def sentences(self, count: int, dice: random.Random) -> Iterator[Sentence]:
        """So many sentences, half of them with a full stop, all with a capital first letter."""
        for _ in range(count):
            yield self._filled(dice.choice(self._templates), dice)

    def _filled(self, template: list[str], dice: random.Random) -> Sentence:
        words: list[str] = []
        tags: list[str] = []
        for item in template:
            word, _, tag = item.partition("/")
            if tag not in TAGS:
                slot_tag, choice = self._slots[word]
                word, tag = dice.choice(choice), slot_tag
            else:
                tag = TAGS[tag]
            if words and words[-1] == "a" and word[0] in "aeiou":
                words[-1] = "an"
            words.append(word)
            tags.append(tag)
        words[0] = words[0][:1].upper() + words[0][1:]
        if dice.random() < 0.5:
            words.append(".")
            tags.append("PUNCT")
        # Spacing is not among the features: a space after every word will do.
        spaces = [True] * len(words)
        return Sentence(tuple(words), tuple(spaces), tuple(tags))
