"""Lessons: rows hold exactly the texts that the engine builds, each exchange alone with its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from captioner.chat import Chat
from captioner.demo import model
from captioner.demo.lessons import IGNORED, LENGTH, Course, Lessons, mirror, noun_tokens
from captioner.demo.pictures import Pictures
from captioner.demo.student import Student
from scenes.captions import brief, dense
from scenes.graph import sample_scene
from scenes.vocabulary import COLOURS, NOUNS, ZONES


@pytest.fixture(scope="module")
def lessons(drawn: Pictures, words: Any) -> Lessons:
    return next(Course(drawn, words, seed=4, batch=8).steps(0, 1))


@pytest.fixture(scope="module")
def student(words: Any) -> Student:
    torch.manual_seed(0)
    return Student(model.build(words, attention="eager"), words).eval()


def exchanges(row: torch.Tensor, words: Any) -> list[tuple[list[int], int]]:
    """(tokens of the picture and of one exchange, where its answer begins), for each exchange of a row."""
    image = int(words.convert_tokens_to_ids("<image>"))
    tokens = row.tolist()
    shared = len(tokens) - tokens[::-1].index(image)
    rest = tokens[shared:]
    found = []
    while words.eos_token_id in rest:
        end = rest.index(words.eos_token_id) + 1
        text = words.decode(rest[:end])
        question = text.split(" ASSISTANT:")[0] + " ASSISTANT:"
        begin = len(words.encode(question, add_special_tokens=False))
        found.append((tokens[:shared] + rest[:end], shared + begin))
        rest = rest[end:]
    return found


def test_a_row_holds_the_texts_that_the_engine_builds(lessons: Lessons, words: Any) -> None:
    processor = model.build_processor(words)
    chat = Chat(processor)
    grey = Image.new("RGB", (60, 40), "grey")
    for row in lessons.ids:
        tokens, begin = exchanges(row, words)[0]
        prompt = words.decode(tokens[:begin]).split("<image>")[-1].removeprefix("\n").removesuffix(" ASSISTANT:")
        built = processor(images=[grey], text=[chat(prompt)], return_tensors="pt")["input_ids"][0]
        assert built.tolist() == tokens[:begin]


def test_the_loss_is_that_of_llava_on_each_exchange_alone(lessons: Lessons, words: Any, student: Student) -> None:
    row = 1
    parts = exchanges(lessons.ids[row], words)
    assert len(parts) >= 2
    with torch.no_grad():
        hidden, _ = student.read(student.see(lessons.pixels), lessons)
        for number, (tokens, begin) in enumerate(parts):
            ids = torch.tensor(tokens)[None]
            logits = student.llava(input_ids=ids, pixel_values=lessons.pixels[row : row + 1]).logits[0]
            theirs = torch.nn.functional.cross_entropy(logits[begin - 1 : -1], ids[0, begin:])
            weights = torch.zeros_like(lessons.weights)
            spans = _answers(lessons.targets[row])
            weights[row, spans[number]] = 1.0
            ours = student.caption_loss(hidden, replace(lessons, weights=weights))
            assert torch.allclose(theirs, ours, atol=1e-4)


def _answers(targets: torch.Tensor) -> list[slice]:
    """Runs of learnt positions."""
    learnt = np.flatnonzero(targets.numpy() != IGNORED)
    runs = np.split(learnt, np.flatnonzero(np.diff(learnt) > 1) + 1)
    return [slice(int(run[0]), int(run[-1]) + 1) for run in runs]


def test_captions_are_those_of_the_scenes_that_are_shown(drawn: Pictures, words: Any) -> None:
    truths = {text for scene in drawn.scenes for one in (scene, mirror(scene)) for text in (dense(one), brief(one))}
    for lessons in Course(drawn, words, seed=5, batch=12).steps(0, 2):
        for row in lessons.ids:
            tokens, begin = exchanges(row, words)[0]
            assert words.decode(tokens[begin:-1]).strip() in truths


def test_a_mirrored_scene_changes_left_and_right_only() -> None:
    for index in range(100):
        scene = sample_scene(np.random.default_rng((2, index)))
        turned = mirror(scene)
        assert mirror(turned) == scene
        assert [ZONES.index(thing.zone) // 3 for thing in turned.things] == [
            ZONES.index(thing.zone) // 3 for thing in scene.things
        ]
        assert len(turned.relations) == len(scene.relations)


def test_processes_share_every_batch_without_overlap(drawn: Pictures, words: Any) -> None:
    whole = Course(drawn, words, seed=1, batch=8)
    halves = [Course(drawn, words, seed=1, batch=8, rank=rank, ranks=2) for rank in (0, 1)]
    for step in range(3):
        parts = [next(half.steps(step, step + 1, words=False)).facts for half in halves]
        assert [len(part) for part in parts] == [4, 4]
        assert len(next(whole.steps(step, step + 1, words=False)).facts) == 8
    picked = [half._picture(place) for half in halves for place in range(half.rank * 4, half.rank * 4 + 4)]
    assert len(set(picked)) == 8


def test_nouns_of_questions_point_at_their_things(drawn: Pictures, words: Any) -> None:
    nouns = noun_tokens(words)
    pointed = absent = 0
    for lessons in Course(drawn, words, seed=6, batch=12).steps(0, 4):
        for row in range(12):
            facts = {tuple(patch) for patch in lessons.facts[row][:, [0, 4, 1]].tolist()}
            for place in torch.nonzero(lessons.pointed[row, :, 0] != IGNORED).flatten().tolist():
                zone, colour = lessons.pointed[row, place].tolist()
                noun = NOUNS.index(nouns[int(lessons.ids[row, place])]) + 1
                assert lessons.targets[row, place - 1] == IGNORED, "only questions point"
                if zone == len(ZONES):
                    assert colour == len(COLOURS)
                    assert noun not in {fact[0] for fact in facts}
                    absent += 1
                else:
                    # A thing may be hidden behind others: then no patch is its own.
                    pointed += (noun, zone, colour) in facts
    assert pointed > 20
    assert absent > 5


def test_rows_have_one_length_and_one_caption_at_least(lessons: Lessons, words: Any) -> None:
    assert lessons.ids.shape == (8, LENGTH)
    assert all(exchanges(row, words) for row in lessons.ids)


def test_guesses_are_the_facts_but_for_some_nouns_of_things(lessons: Lessons) -> None:
    noun, others = (lessons.facts[..., 0], lessons.guessed[..., 0]), (lessons.facts[..., 1:], lessons.guessed[..., 1:])
    assert torch.equal(*others)
    changed = noun[0] != noun[1]
    things = noun[0] > 0
    assert not changed[~things].any()
    assert 0.02 < changed[things].float().mean() < 0.16
    assert noun[1][things].min() > 0
    assert noun[1].max() <= len(NOUNS)
