"""The page on captioning names what the code has."""

from __future__ import annotations

from pathlib import Path

from captioner import checks, memory, watchdog
from captioner.checkpoint import LANGUAGE_MODELS
from captioner.loading import MODEL_TYPES
from captioner.prompts import PROMPTS
from captioner.transformers_engine import CALM_BATCHES
from core.reasons import FLAGS
from core.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "captioning.md").read_text(encoding="utf-8")


def test_every_prompt_family_and_flag_stands_on_the_page() -> None:
    own_flags = set(FLAGS) - {"old_text_not_utf8"}  # set where shards are read
    for name in (*PROMPTS, *MODEL_TYPES, *LANGUAGE_MODELS, *own_flags):
        assert f"`{name}`" in PAGE, name


def test_the_pages_numbers_are_the_codes() -> None:
    for words in (
        f"every {watchdog.LOOK_EVERY} tokens",
        f"1 to {watchdog.LONGEST_PERIOD} tokens",
        f"over at least {watchdog.SHORTEST_RUN} tokens",
        f"1 to {checks.LOOP_LONGEST_BLOCK} words",
        f"at least {checks.LOOP_COPIES} times and over at least {checks.LOOP_WORDS} words",
        f"a sentence of {checks.SENTENCE_WORDS} words or more that stands {checks.SENTENCE_COPIES} times",
        f"first {checks.REFUSAL_CHARACTERS} characters",
        f"{memory.MEMORY_SHARE:.0%} of the free memory".replace("%", " %"),
        f"after {CALM_BATCHES} batches",
        f"On a CPU: {memory.CPU_BATCH}, and {memory.SMALL_MODEL_BATCH} for models of fewer than "
        f"{memory.SMALL_MODEL // 10**6} million",
    ):
        assert words in PAGE, words


def test_every_setting_on_the_page_exists() -> None:
    words = (word.strip("`.,:;()*") for word in PAGE.replace("`", " ").split())
    named = {
        word.removeprefix("DENSIFY_").lower() for word in words if word.startswith("DENSIFY_") and word != "DENSIFY_…"
    }
    assert named
    assert named <= set(Settings.model_fields), named - set(Settings.model_fields)
