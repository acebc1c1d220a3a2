"""Prompts never change under their name, and a template puts values in as plain text."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioner.prompts import PROMPTS, Template, check_prompt, render, resolve
from core.errors import BadPromptError
from core.reasons import Reject

#: SHA-256 of every published version: a test that fails here means that a name's words were changed.
PUBLISHED = {
    "pixart-1": "3dd37328ed46276e160918bd90f68347769b84c3082b0499ba1ac47688d611d2",
    "pixart-old-caption-1": "5a054db5fe5053f09308d27fcc88d3738b8d52478b08e77cdcb259ebb219acab",
    "dense-1": "9c02bb7c6e6e32bc8b9ec045b48c335f901e63a4887053fbd5abe3cdced7c7c0",
    "dense-old-text-1": "10064c2b232b5429cb2b6b733a86a0606cc98a6dd82372cd3630819db7d9cce8",
    "brief-1": "4abadd7b06738442142781a87980fa1e34177402586703e6db02bafea9d3c636",
}


def filled(template: str, old_text: str | None = None, fields: dict[str, Any] | None = None) -> str:
    result = render(template, "k", old_text, fields or {}, {})
    assert isinstance(result, str), result
    return result


def test_the_default_prompt_is_pixarts_word_for_word() -> None:
    assert resolve("pixart-1") == "Describe this image and its style in a very detailed manner"


def test_published_prompts_never_change() -> None:
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in PROMPTS.items()} == PUBLISHED


@pytest.mark.parametrize("name", PROMPTS)
def test_every_published_prompt_parses(name: str) -> None:
    check_prompt(name)


def test_a_prompt_that_is_no_name_is_itself() -> None:
    assert resolve("Tell me a story") == "Tell me a story"


def test_a_mistyped_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadPromptError, match="did you mean 'pixart-1'"):
        resolve("pixart-2")


def test_old_text_and_fields_are_put_in() -> None:
    fields = {
        "title": "Dusk",
        "n": 3,
        "w": 0.5,
        "f": 2.0,
        "ok": True,
        "tags": ["sea", 7],
        "meta": {"by": {"name": "Ann"}},
    }
    template = "{old_text}|{title}|{n}|{w}|{f}|{ok}|{tags}|{meta.by.name}"
    assert filled(template, " a boat ", fields) == "a boat|Dusk|3|0.5|2|true|sea, 7|Ann"


def test_a_field_whose_name_has_a_dot_comes_before_the_nested_one() -> None:
    assert filled("{a.b}", fields={"a.b": "flat", "a": {"b": "deep"}}) == "flat"


def test_double_braces_are_braces() -> None:
    assert filled("{{{old_text}}} {{x}}", "t") == "{t} {x}"


def test_values_are_never_templates() -> None:
    assert filled("{old_text} {t}", "{t} {{", {"t": "{old_text.__class__}"}) == "{t} {{ {old_text.__class__}"


@given(st.text(), st.text())
def test_any_old_text_comes_through_as_it_is(before: str, old_text: str) -> None:
    template = before.replace("{", "{{").replace("}", "}}") + "{old_text}"
    result = render(template, "k", old_text, {}, {"old_text": "-"})
    assert result == before + (old_text.strip() or "-")


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, {"a": 1}])
def test_a_field_without_a_value_rejects_the_sample(value: Any) -> None:
    result = render("{title}", "s1", None, {"title": value}, {})
    assert isinstance(result, Reject)
    assert (result.key, result.reason) == ("s1", "missing_field")
    assert "'title'" in result.sentence


def test_a_stated_default_stands_in_even_when_empty() -> None:
    assert render("[{title}][{old_text}]", "k", None, {}, {"title": "untitled", "old_text": ""}) == "[untitled][]"


def test_a_path_that_ends_early_is_a_missing_field() -> None:
    assert isinstance(render("{a.b}", "k", None, {"a": "text"}, {}), Reject)


@pytest.mark.parametrize(
    "template",
    ["{", "}", "a {b", "a b}", "{}", "{a!r}", "{a:>10}", "{a[0]}", "{0}", "{a b}", "{a..b}", "{a.}", "{{a}", "", "   "],
)
def test_a_malformed_template_is_refused(template: str) -> None:
    with pytest.raises(BadPromptError):
        Template.parse(template)


def test_the_error_names_the_place() -> None:
    with pytest.raises(BadPromptError, match=r"'\{a!r\}' at character 4"):
        Template.parse("ab {a!r}")


def test_a_template_knows_its_fields_and_its_own_words() -> None:
    template = Template.parse("Given '{old_text}' by {meta.author}, go")
    assert template.fields == ("old_text", "meta.author")
    assert template.literals == ("Given '", "' by ", ", go")
