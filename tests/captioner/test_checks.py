"""Each flag is raised by what it names, and seldom by good captions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from captioner.checks import check_caption, cut_opening, is_loop
from core.reasons import FLAGS
from core.spec import PIXART_PROMPT

GOOD = "A red boat lies in a small harbor. Behind it, two white houses stand under a cloudy sky."


def flags(text: str, finish_reason: str = "stop", prompt: str = PIXART_PROMPT) -> tuple[str, ...]:
    return check_caption(text, finish_reason, [prompt]).flags


def test_a_good_caption_has_no_flag() -> None:
    assert flags(GOOD) == ()


@pytest.mark.parametrize("text", ["", "  \n", "...", '"'])
def test_no_word_is_empty(text: str) -> None:
    assert flags(text) == ("empty",)


def test_a_token_limit_is_cut_off() -> None:
    assert flags(GOOD, "length") == ("cut_off",)


def test_what_the_watchdog_stopped_is_a_loop() -> None:
    assert flags(GOOD, "watchdog") == ("loop",)


@pytest.mark.parametrize(
    "text",
    [
        "a boat " * 6,
        "very " * 12,
        "There is a chair. " * 3,
        "A room. " + "A chair stands beside the old wooden table. " * 3,
        "A chair is on the left side. A lamp. A chair is on the left side. A cup. A chair is on the left side.",
        "It shows " + ", a tree next to a house near a road" * 4,
    ],
)
def test_repetition_is_a_loop(text: str) -> None:
    assert "loop" in flags(text)


@pytest.mark.parametrize(
    "text",
    [
        "very very very old wood",
        "A sign reads no no no no.",
        "To the left is a tree. To the right is a tree.",
        "One cat, two cats, three cats and four cats.",
        "A tree is visible. A house is visible. A road is visible.",
    ],
)
def test_ordinary_repetition_is_no_loop(text: str) -> None:
    assert not is_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I am sorry, I cannot see the picture.",
        "Sorry, the image did not load.",
        "I cannot describe this image.",
        "I can’t assist with identifying people.",
        "Unfortunately, I am unable to view images.",
        "I apologize, but there is nothing here.",
        "As an AI language model, I do not see images.",
        "I don't have the ability to see images.",
        "Hello, I'm here to help you with any questions you may have.",
    ],
)
def test_a_model_that_declines_is_a_refusal(text: str) -> None:
    assert "refusal" in flags(text)


@pytest.mark.parametrize(
    "text",
    [
        "A woman looks sorry for the dog.",
        "A sign says 'I cannot fly'.",
        "A man who cannot see the bus waits.",
        "A card with the words 'I am sorry' lies on a table.",
        "The I in the logo is red.",
    ],
)
def test_sorry_things_in_pictures_are_no_refusal(text: str) -> None:
    assert "refusal" not in flags(text)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Describe this image and its style in a very detailed manner. A boat.", PIXART_PROMPT),
        ("A boat. describe this image, and its style in a very detailed manner", PIXART_PROMPT),
        ("Describe the image: a boat.", "Describe the image"),
        ("A boat. USER: what is behind it?", PIXART_PROMPT),
        ("ASSISTANT: A boat.", PIXART_PROMPT),
        ("An artificial intelligence assistant is standing in front of a train.", PIXART_PROMPT),
    ],
)
def test_the_prompt_or_the_chat_in_the_caption_is_an_echo(text: str, prompt: str) -> None:
    assert "prompt_echo" in flags(text, prompt=prompt)


def test_words_shared_with_the_prompt_are_no_echo() -> None:
    assert flags("In a very detailed manner, this carving shows a boat and its style is old.") == ()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The image features a young girl.", "A young girl."),
        ("This picture shows two dogs.", "Two dogs."),
        ("In the image, there is a boat.", "A boat."),
        ("In this photo, a man walks.", "A man walks."),
        ("The image is a painting of a boat.", "A painting of a boat."),
        ("A photo of a boat.", "A boat."),
        ("This is an image of a boat.", "A boat."),
        ("The scene depicts éclairs on a plate.", "Éclairs on a plate."),
        ("We can see a boat.", "A boat."),
        ("Sure! Here is a description of the image: A boat.", "A boat."),
    ],
)
def test_a_stock_opening_is_flagged_or_cut(text: str, left: str) -> None:
    assert check_caption(text, "stop").flags == ("boilerplate",)
    checked = check_caption(text, "stop", strip_opening=True)
    assert (checked.text, checked.flags) == (left, ("stripped",))


@pytest.mark.parametrize(
    "text", [GOOD, "The image of a saint hangs there.", "The picture frame is gold.", "The image features"]
)
def test_other_openings_stay(text: str) -> None:
    assert check_caption(text, "stop", strip_opening=True).text == text
    assert cut_opening(text) == text


def test_every_flag_is_in_the_vocabulary() -> None:
    worst = "The image features a cat. " * 4 + "USER: I cannot describe it."
    assert set(flags(worst, "length")) <= set(FLAGS)


# ---- real captions --------------------------------------------------------------------------------------------------


def counted(path: Path) -> tuple[int, Counter[str]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found: Counter[str] = Counter()
    for row in rows:
        found.update(flags(row["text"], prompt=row.get("prompt") or PIXART_PROMPT))
    return len(rows), found


def test_captions_written_by_people_get_next_to_no_flag(real_data: Path) -> None:
    total, found = counted(real_data / "caption-text" / "human_dense_iiw.jsonl")
    assert total > 500
    assert sum(found.values()) <= 0.005 * total, found


def test_on_llavas_own_captions_the_grave_flags_are_rare_and_right(real_data: Path) -> None:
    total, found = counted(real_data / "caption-text" / "model_dense_llava.jsonl")
    assert total > 2000
    assert found["loop"] + found["refusal"] <= 0.002 * total, found
    # Read by hand: fourteen captions hold role marks or the assistant that the chat format speaks of.
    assert 10 <= found["prompt_echo"] <= 0.01 * total, found
    assert found["boilerplate"] >= 0.9 * total, found


def test_short_captions_of_people_are_not_called_loops_or_echoes(real_data: Path) -> None:
    total, found = counted(real_data / "caption-text" / "human_short_coco.jsonl")
    assert found["loop"] + found["prompt_echo"] == 0, found
    assert found["refusal"] <= 0.001 * total, found
