"""Names: WebDataset's rule, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webdataset.tariterators import base_plus_ext

from core.errors import BadFieldError, BadNameError
from shards.names import (
    MAX_NAME_BYTES,
    NameRejected,
    check_dataset_name,
    check_shard_name,
    expand_braces,
    is_pickle,
    split_member,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", ("a", "jpg")),
        ("img.v2.JPG", ("img", "v2.jpg")),
        ("folder.v1/a.seg.png", ("folder.v1/a", "seg.png")),
        ("./a.jpg", ("./a", "jpg")),
        ("고양이.jpg", ("고양이", "jpg")),
        ("U.JPG", ("U", "jpg")),
        ("n" * 300 + ".jpg", ("n" * 300, "jpg")),
        ("a..jpg", ("a", ".jpg")),
    ],
)
def test_the_key_ends_at_the_first_dot_after_the_last_slash(name: str, expected: tuple[str, str]) -> None:
    assert split_member(name) == expected


def test_composed_and_decomposed_letters_are_two_keys() -> None:
    assert split_member("e\u0301.jpg") != split_member("\u00e9.jpg")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../evil.jpg", "unsafe_name"),
        ("a/../b.jpg", "unsafe_name"),
        ("a\\..\\b.jpg", "unsafe_name"),
        ("/abs.jpg", "unsafe_name"),
        ("a\0.jpg", "unsafe_name"),
        ("a\n.jpg", "unsafe_name"),
        ("a\x1b[31m.jpg", "unsafe_name"),
        ("a\x85.jpg", "unsafe_name"),
        ("\udcff.jpg", "unsafe_name"),
        ("n" * MAX_NAME_BYTES + ".jpg", "unsafe_name"),
        ("noextension", "bad_name"),
        ("a.", "bad_name"),
        (".hidden.jpg", "bad_name"),
        ("folder/.jpg", "bad_name"),
        ("", "bad_name"),
        ("__meta__/a.jpg", "bad_name"),
        ("a.__key__", "bad_name"),
        ("a.__URL__", "bad_name"),
    ],
)
def test_a_name_that_is_unsafe_or_makes_no_key_is_rejected_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(NameRejected) as caught:
        split_member(name)
    assert caught.value.reason == reason
    assert caught.value.sentence.isprintable()


@given(
    st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=30) | st.from_regex(r"[a-c./_]{1,12}", fullmatch=True)
)
def test_every_name_that_is_taken_splits_as_webdataset_splits_it(name: str) -> None:
    try:
        key, extension = split_member(name)
    except NameRejected:
        return
    found_key, found_extension = base_plus_ext(name)
    assert (key, extension) == (found_key, found_extension.lower())


@given(st.text(max_size=300))
def test_no_name_at_all_raises_anything_but_a_rejection(name: str) -> None:
    try:
        key, extension = split_member(name)
    except NameRejected:
        return
    assert name.startswith(key + ".")
    assert extension


@pytest.mark.parametrize("extension", ["pkl", "pth", "pyd", "meta.pickle", "pkl.gz", "pt"])
def test_extensions_that_usual_readers_unpickle_are_known(extension: str) -> None:
    assert is_pickle(extension)


@pytest.mark.parametrize("extension", ["jpg", "txt", "npy", "pkl.txt", "seg.png"])
def test_other_extensions_are_data(extension: str) -> None:
    assert not is_pickle(extension)


@pytest.mark.parametrize("check", [check_dataset_name, check_shard_name])
def test_names_from_outside_are_plain(check: object) -> None:
    assert callable(check)
    assert check("train-000.v2_x") == "train-000.v2_x"
    for bad in ("", ".", "..", "a/b", "-a", "a b", "a\0", "ä", "n" * 201, "a\n", "../../etc/passwd", "\u202egnp"):
        with pytest.raises(BadNameError):
            check(bad)


def test_braces_expand_in_order() -> None:
    assert expand_braces("s3://b/t-{000..002}.tar") == [f"s3://b/t-00{n}.tar" for n in range(3)]
    assert expand_braces("https://h/{a,b}-{1..2}.tar") == [f"https://h/{x}-{n}.tar" for x in "ab" for n in (1, 2)]
    assert expand_braces("file:///data/one.tar") == ["file:///data/one.tar"]


@pytest.mark.parametrize(
    "url",
    [
        "a{0..9999999999}",
        "{0..99}{0..99}{0..99}",
        "{0..1000000..2}",
        "a{0..",
        "a}",
        "{a,{0..9}{0..9}{0..9}{0..9}{0..9}{0..9}{0..9}{0..9}{0..9}}",
        "x" * 5000,
    ],
)
def test_braces_that_are_wrong_or_stand_for_too_much_are_refused_at_once(url: str) -> None:
    with pytest.raises(BadFieldError):
        expand_braces(url)


def test_the_limit_of_braces_is_exact() -> None:
    assert len(expand_braces("{1..100}", limit=100)) == 100
    with pytest.raises(BadFieldError, match=re.escape("more than 99")):
        expand_braces("{1..100}", limit=99)
