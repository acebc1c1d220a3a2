from __future__ import annotations

import random
from pathlib import Path

from analysis.train_en import rewrite
from analysis.treebank import NounScore, Sentence, read_conllu

CONLLU = """\
# text = Don't stop, dogs.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\t_\t_\t_\t_\t_\t_
2\tn't\tnot\tPART\t_\t_\t_\t_\t_\t_
3\tstop\tstop\tVERB\t_\t_\t_\t_\t_\tSpaceAfter=No
3.1\tghost\tghost\tVERB\t_\t_\t_\t_\t_\t_
4\t,\t,\tPUNCT\t_\t_\t_\t_\t_\t_
5\tdogs\tdog\tNOUN\t_\t_\t_\t_\t_\tSpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t_\t_\t_\t_

1\tYes\tyes\tINTJ\t_\t_\t_\t_\t_\t_
"""


def test_conllu_is_read_with_its_words_spaces_and_tags(tmp_path: Path) -> None:
    file = tmp_path / "a.conllu"
    file.write_text(CONLLU)
    first, second = read_conllu(file)
    assert first.words == ("Do", "n't", "stop", ",", "dogs", ".")
    assert first.spaces == (False, True, False, True, False, True)
    assert first.tags == ("AUX", "PART", "VERB", "PUNCT", "NOUN", "PUNCT")
    assert second == Sentence(("Yes",), (True,), ("INTJ",))


def test_f1_is_the_harmonic_mean() -> None:
    assert NounScore(gold=10, predicted=5, correct=5).f1 == 2 * 1.0 * 0.5 / 1.5
    assert NounScore(0, 0, 0).f1 == 0.0


def test_copies_keep_words_and_tags_together() -> None:
    sentence = Sentence(("The", "dog", "sleeps", "."), (True, True, False, False), ("DET", "NOUN", "VERB", "PUNCT"))
    dice = random.Random(0)
    copies = [rewrite(sentence, way, dice) for way in ("lower", "title", "upper") for _ in range(20)]
    assert {copy.words[1] for copy in copies} == {"dog", "Dog", "DOG"}
    assert {len(copy.words) for copy in copies} == {3, 4}
    assert all(copy.tags == sentence.tags[: len(copy.words)] for copy in copies)


def test_a_title_may_keep_its_small_words_small() -> None:
    sentence = Sentence(("a", "view", "of", "the", "sea"), (True,) * 5, ("DET", "NOUN", "ADP", "DET", "NOUN"))
    copies = {" ".join(rewrite(sentence, "title", random.Random(seed)).words) for seed in range(20)}
    assert copies == {"A View Of The Sea", "a View of the Sea"}


def test_a_heap_has_no_grammar() -> None:
    sentence = Sentence(("a", "red", "dog", "sleeps", "."), (True,) * 5, ("DET", "ADJ", "NOUN", "VERB", "PUNCT"))
    heaps = [rewrite(sentence, "heap", random.Random(seed)) for seed in range(20)]
    assert {heap.words for heap in heaps} == {("red", "dog"), ("Red", "Dog")}
    assert {heap.tags for heap in heaps} == {("ADJ", "NOUN")}
    nothing = Sentence(("Oh", "!"), (False, False), ("INTJ", "PUNCT"))
    assert rewrite(nothing, "heap", random.Random(0)).words
