"""How people ask for a caption: thousands of wordings for training, and twenty that training never sees.

Two kinds of answer are asked for: the dense caption, and the brief one. Wordings come from a small grammar; one in
eight is then roughened (a word lost, a slip of the finger, all small or capital letters), so that the model listens to
what is asked and not to how. Leaves out yes/no questions (questions.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from captioner.prompts import PROMPTS
from core.spec import PIXART_PROMPT

#: No wording of the grammar equals one of these, and no training prompt is drawn from them.
HELD_OUT: Final[tuple[str, ...]] = (
    "What is going on in this image? Leave nothing out.",
    "Write alt text for a blind reader, as complete as you can.",
    "Please produce an exhaustive account of the visual content.",
    "List all that you notice, with colours and positions.",
    "Imagine I cannot see the picture. Tell me about it.",
    "Caption:",
    "You are a museum guide. Walk me through this work.",
    "I need a long description for my image data set.",
    "Analyse the composition, the objects and the style.",
    "Generate a comprehensive text that a painter could redraw this picture from.",
    "describe the photo",
    "What do you see?",
    "Summarise the picture for a catalogue, including its medium.",
    "Can you give me a thorough rundown of everything shown here?",
    "Detail each element: what it is, what it looks like and where it stands.",
    "Transcribe the scene into words.",
    "In as few words as possible, what does the image show?",
    "One line only: name the objects.",
    "Provide a training caption for a text-to-image model.",
    "Tell me the story of this picture without inventing anything.",
)

_ROLES = (
    "You are a helpful assistant.", "You are an expert in art.", "You write captions for a picture library.",
    "Act as a careful observer.", "As an art critic,", "Look closely.", "Look at the image.", "Here is a picture.",
    "Consider this image carefully.", "This is for a data set.", "I will show you a picture.", "Hello!",
)  # fmt: skip
_DENSE_VERBS = (
    "Describe", "Explain", "Depict in words", "Write about", "Report on", "Comment on", "Characterise", "Portray",
    "Give a description of", "Write a description of", "Give a detailed description of", "Write a caption for",
    "Write a long caption for", "Give a full account of", "Provide a detailed caption for", "Create a caption for",
    "Tell me everything about", "Tell me what is in", "Tell me about", "Please describe", "Could you describe",
    "Can you describe", "Please tell me what you see in", "Write down what can be seen in", "State what is visible in",
    "Make a list of all things in", "Compose a rich caption of", "Produce a description of", "Go through",
    "Draft a paragraph about", "Write a paragraph on", "Give me the details of", "Observe and describe",
)  # fmt: skip
_PICTURES = (
    "this image", "the image", "this picture", "the picture", "this photo", "the scene", "this scene", "this artwork",
    "this drawing", "this illustration", "this painting", "the given image", "the image above", "what you see",
    "the attached picture", "it", "the image and its style", "this image and its style", "the picture and its style",
    "the contents of the image", "the visual content of this picture", "all objects in the image",
    "everything in this image",
)  # fmt: skip
_MANNERS = (
    "", "", "", "in detail", "in great detail", "in a very detailed manner", "in a detailed manner", "thoroughly",
    "as precisely as you can", "as fully as possible", "at length", "carefully", "in full", "from top to bottom",
    "step by step", "in rich detail", "with many details", "in several sentences", "in a long paragraph", "accurately",
    "exhaustively", "with great care", "in plain words", "in an objective tone", "for someone who cannot see it",
)  # fmt: skip
_FOCUS = (
    "", "", "", "", "", "Name every object.", "Include colours, sizes and positions.", "Mention the background.",
    "Mention the style.", "Say where each thing is.", "Do not leave anything out.", "Only state what is visible.",
    "Do not invent anything.", "Be specific.", "Be precise and complete.", "Pay attention to the style.",
    "Use complete sentences.", "Start with the background.", "Cover objects, colours, places, background and style.",
    "Say how many there are of each.", "Thank you.", "No introduction, please.", "Write in English.",
    "The caption will train an image generator.", "Someone should be able to paint it from your words.",
)  # fmt: skip
_DENSE_WHOLE = (
    "What is in this image?", "What does this picture show?", "What can be seen here?", "What is shown?",
    "Describe.", "Description:", "Detailed caption:", "Long caption:", "Details, please.", "What is there to see?",
    "Which objects are in the picture, and where?", "What is this?", "What does it look like?", "Dense caption:",
    "Give me all the details.", "What is depicted in this work, and in which style?", "Image description:",
    "What things are here and what colours do they have?", "What is visible in the image?", "Alt text:",
)  # fmt: skip
_BRIEF_VERBS = (
    "Describe", "Summarise", "Caption", "Sum up", "Write a short caption for", "Give a brief caption of",
    "Give a title to",
    "Write one sentence about", "Name what is in", "Name the main objects of", "Give a short description of",
    "Say in one sentence what is in", "Write a brief description of", "Provide a concise caption for",
)  # fmt: skip
_BRIEF_MANNERS = (
    "in one sentence", "briefly", "in short", "in a few words", "in a single line", "concisely",
    "in one short sentence",
    "as briefly as you can", "in brief", "in at most twenty words", "shortly", "in one line",
)  # fmt: skip
_BRIEF_WHOLE = (
    "Short caption:", "Brief caption:", "In one sentence, what is this?", "What is this, in short?",
    "A short answer, please: what is in the picture?", "Title:", "One sentence, please.",
    "Keep it short: what do you see?", "Brief description:",
)  # fmt: skip
#: Around an old text; `{}` is its place.
_OLD_TEXTS = (
    "Given the caption of this image '{}',", "This image was published with the text '{}'.", "The old caption is '{}'.",
    "The file was named '{}'.", "Alt text found on the web: '{}'.", "Someone called this picture \"{}\".",
    "Its title was {}.", "Old caption: {}.", "The text beside it said '{}', which may be wrong.", "Hint: {}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prompt:
    """A wording, and whether the brief caption is its answer."""

    text: str
    brief: bool


def draw(old_text: str, rng: np.random.Generator) -> Prompt:
    """A training prompt; `old_text` is the sample's old text, which some prompts hold."""
    chance = rng.random()
    if chance < 0.25:
        return Prompt(PIXART_PROMPT, False)
    if chance < 0.35:
        return _named(old_text, rng)
    brief = rng.random() < 0.2
    text = _wording(brief, rng)
    if rng.random() < 0.15:
        text = f"{_pick(_OLD_TEXTS, rng).format(old_text)} {text}"
    elif rng.random() < 0.15:
        text = f"{_pick(_ROLES, rng)} {text}"
    if rng.random() < 0.125:
        text = _roughened(text, rng)
    return Prompt(text if text not in HELD_OUT else PIXART_PROMPT, brief and text not in HELD_OUT)


def _named(old_text: str, rng: np.random.Generator) -> Prompt:
    """One of the prompts that Densify ships."""
    name = _pick(tuple(PROMPTS), rng)
    return Prompt(PROMPTS[name].replace("{old_text}", old_text), name.startswith("brief"))


def _wording(brief: bool, rng: np.random.Generator) -> str:
    if rng.random() < 0.15:
        return _pick(_BRIEF_WHOLE if brief else _DENSE_WHOLE, rng)
    if brief:
        sentence = f"{_pick(_BRIEF_VERBS, rng)} {_pick(_PICTURES, rng)} {_pick(_BRIEF_MANNERS, rng)}"
        return sentence + _pick((".", ".", ""), rng)
    manner = _pick(_MANNERS, rng)
    sentence = f"{_pick(_DENSE_VERBS, rng)} {_pick(_PICTURES, rng)}" + (f" {manner}" if manner else "")
    if manner and rng.random() < 0.1:
        sentence = f"{manner[0].upper()}{manner[1:]}, {sentence[0].lower()}{sentence[1 : -len(manner) - 1]}"
    focus = _pick(_FOCUS, rng)
    return sentence + _pick((".", ".", "", "!", ":"), rng) + (f" {focus}" if focus else "")


def _roughened(text: str, rng: np.random.Generator) -> str:
    kind = int(rng.integers(4))
    if kind == 0:
        return text.lower()
    if kind == 1:
        return text.upper() if rng.random() < 0.3 else text.rstrip(".!?:")
    words = text.split()
    place = int(rng.integers(len(words)))
    if kind == 2 and len(words) > 3:
        del words[place]
        return " ".join(words)
    word = words[place]
    at = int(rng.integers(len(word)))
    words[place] = word[:at] + word[at + 1 :] + word[at : at + 1]
    return " ".join(words)


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
