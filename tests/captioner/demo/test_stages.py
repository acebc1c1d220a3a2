"""The stages of training: they learn, they go on exactly where they were stopped, and processes agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from captioner.demo import model, stages
from captioner.demo import student as student_module
from captioner.demo.lessons import Course
from captioner.demo.pictures import Pictures
from captioner.demo.stages import Place
from captioner.demo.student import Student

CPU = Place(torch.device("cpu"))
Make = Callable[[], Student]


@pytest.fixture
def make(words: Any, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A student of a size that learns in seconds, the same one each time."""
    for name, value in {"WIDTH": 64, "TOWER_LAYERS": 1, "TEXT_LAYERS": 1, "TOWER_FFN": 64, "TEXT_FFN": 64}.items():
        monkeypatch.setattr(model, name, value)
    monkeypatch.setattr(student_module, "WIDTH", 64)
    monkeypatch.setattr(stages, "WARMUP", 2)

    def build() -> Student:
        torch.manual_seed(3)
        return Student(model.build(words, attention="eager"), words)

    return build


def first_loss(text: str) -> float:
    return float(text.split(", ")[1])


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    rates = [stages.rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / stages.WARMUP)
    assert set(rates[stages.WARMUP : 500]) == {1.0}
    assert rates[750] == pytest.approx(0.5)
    assert 0 < rates[999] < 0.01


def test_every_stage_learns(
    make: Make, drawn: Pictures, words: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(stages, "TELL_EVERY", 4)
    student = make()
    course = Course(drawn, words, seed=1, batch=4)
    stages.learn_to_write(student, course, 24, CPU, tmp_path / "write.pt")
    told = [line for line in capfd.readouterr().out.splitlines() if line.startswith("write")]
    assert first_loss(told[-1]) < first_loss(told[0]) - 1
    stages.learn_to_see(student, course, 8, CPU, tmp_path / "see.pt")
    assert 0 < stages.introduce(student, course, 4, CPU) <= 1
    capfd.readouterr()
    stages.join(student, course, 12, CPU, tmp_path / "join.pt")
    told = [line for line in capfd.readouterr().out.splitlines() if line.startswith("join")]
    assert first_loss(told[-1]) < first_loss(told[0])


def test_a_stage_that_was_stopped_goes_on_as_if_it_had_not_been(
    make: Make, drawn: Pictures, words: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "SAVE_EVERY", 3)
    course = Course(drawn, words, seed=1, batch=4)
    whole = make()
    stages.join(whole, course, 6, CPU, tmp_path / "whole.pt")

    class Stopped(Exception):
        pass

    def stop_at(file: Path, **state: Any) -> None:
        save(file, **state)
        raise Stopped

    save = stages._save
    monkeypatch.setattr(stages, "_save", stop_at)
    with pytest.raises(Stopped):
        stages.join(make(), course, 6, CPU, tmp_path / "stopped.pt")
    monkeypatch.setattr(stages, "_save", save)
    resumed = make()
    stages.join(resumed, course, 6, CPU, tmp_path / "stopped.pt")
    for (name, ours), theirs in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


def test_introducing_the_tower_makes_the_projector_read_it(make: Make, drawn: Pictures, words: Any) -> None:
    """On a tower whose output is a rotation of the oracle's embeddings nothing is lost."""
    student = make()
    course = Course(drawn, words, seed=1, batch=8)
    turn = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))[0]
    lessons = next(course.steps(0, 1))
    with torch.no_grad():
        imagined = student.imagine(lessons.facts)
        wanted = student.llava.model.multi_modal_projector(imagined)
    facts = iter([batch.facts for batch in course.steps(0, 3, words=False)])
    student.see = lambda _: student.imagine(next(facts)) @ turn  # type: ignore[method-assign]
    assert stages.introduce(student, course, 3, CPU) == pytest.approx(1.0, abs=1e-2)
    found = student.llava.model.multi_modal_projector(imagined @ turn)
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()
