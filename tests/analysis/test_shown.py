"""Sample captions: pictures and old texts from shards, old texts from a baseline, or none."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from analysis.captions_input import read_captions
from analysis.gathered import TEXT_CHARACTERS, Gathered
from analysis.shown import SIDE, Card, cards
from shards.writer import write_shard
from tests.analysis.plain_nouns import PlainNouns
from tests.shards.make_shards import picture


def heard(captions: Iterable[tuple[str, str]], wanted: Iterable[str] = ()) -> Gathered:
    gathered = Gathered(wanted=set(wanted))
    for key, text in captions:
        gathered(key, text, next(PlainNouns().nouns([text])))
    return gathered


def shown(paths: list[Path], baseline: Gathered | None = None) -> list[Card]:
    captions = [caption for path in paths for caption in read_captions(path)]
    found = cards(heard(captions).chosen(), PlainNouns(), paths=paths, baseline=baseline)
    return sorted(found, key=lambda card: (card.key, card.words))


def shard(file: Path, *samples: tuple[str, dict[str, bytes]]) -> Path:
    file.parent.mkdir(exist_ok=True, parents=True)
    write_shard(file, samples)
    return file


def size_of(card: Card) -> tuple[int, int]:
    assert card.picture is not None
    with Image.open(io.BytesIO(base64.b64decode(card.picture))) as image:
        return image.size


def captioned(old_text: object) -> bytes:
    return json.dumps({"licence": "CC0", "densify": {"old_text": old_text}}).encode()


def test_pictures_come_small_from_shards_and_old_text_from_what_densify_wrote_there(tmp_path: Path) -> None:
    file = shard(
        tmp_path / "a.tar",
        ("k1", {"jpg": picture(1, (900, 450)), "txt": b"a dog", "json": captioned("IMG <b>cat</b>")}),
        ("k2", {"jpg": picture(2), "txt": b"a cat on a roof", "json": captioned(None)}),
        ("k3", {"png": picture(3, format="PNG"), "txt": b"two birds and fish"}),
    )
    one, two, three = shown([file])
    assert (one.old_from, one.old[1:3]) == ("old text", [(" <", False), ("b", True)])
    assert (two.old_from, two.old, three.old_from) == (None, [], None)
    assert one.text == [("a ", False), ("dog", True)]
    assert (size_of(one), size_of(two), size_of(three)) == ((SIDE, SIDE // 2), (32, 24), (32, 24))


def test_folders_of_shards_have_pictures_too_and_equal_keys_are_told_apart_by_the_caption(tmp_path: Path) -> None:
    shard(tmp_path / "in" / "a.tar", ("k", {"jpg": picture(1), "txt": b"a dog", "json": captioned("first")}))
    shard(tmp_path / "in" / "b.tar", ("k", {"jpg": picture(2), "txt": b"a cat and a bird", "json": captioned("other")}))
    one, two = shown([tmp_path / "in"])
    assert ([one.old[0][0], two.old[0][0]], one.picture != two.picture) == (["first", "other"], True)


def test_a_picture_that_does_not_decode_is_left_out(tmp_path: Path) -> None:
    file = shard(tmp_path / "a.tar", ("k", {"jpg": b"<html>", "txt": b"a dog", "json": b"[1"}))
    (card,) = shown([file])
    assert (card.picture, card.old_from, card.text[1]) == (None, None, ("dog", True))


def test_without_shards_the_baselines_text_of_the_same_key_stands_beside(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"key": "k1", "text": "a dog"}\n{"key": "k2", "text": "a cat and a bird"}\n')
    baseline = heard([("k1", "dog photo"), ("k9", "cat photo")], wanted=["k1", "k2"])
    one, two = shown([tmp_path / "a.jsonl"], baseline)
    assert (one.old_from, one.old) == ("baseline", [("dog", True), (" ", False), ("photo", True)])
    assert (two.old_from, one.picture) == (None, None)


def test_what_a_shard_says_goes_before_the_baseline(tmp_path: Path) -> None:
    file = shard(tmp_path / "a.tar", ("k", {"jpg": picture(1), "txt": b"a dog", "json": captioned("old")}))
    (card,) = shown([file], heard([("k", "baseline's")], wanted=["k"]))
    assert (card.old_from, card.old) == ("old text", [("old", True)])


def test_long_texts_are_cut_with_an_ellipsis(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"key": "k", "text": "dog " * 1000}) + "\n")
    (card,) = shown([tmp_path / "a.jsonl"], heard([("k", "cat " * 1000)], wanted=["k"]))
    for pieces in (card.text, card.old):
        assert pieces[-1] == (" …", False)
        assert sum(len(text) for text, _ in pieces) == TEXT_CHARACTERS + 2
    assert card.nouns == card.words == 1000
