"""Concept density: how fast nouns are found, a table of 10,000,000 captions is made, a report over files is written.

    python benchmarks/density.py [--only nouns|table|report] [--data FOLDER] [--captions FILE] [--trial]

nouns: `en` against the same weights in spaCy's nlp.pipe with its defaults, and against NLTK's perceptron tagger, in one
process bound to one core; and on two cores, `en` in two processes with half of the captions each (as two workers
of the service have) against nlp.pipe with n_process=2. Plain texts in, places of nouns out; every round has captions
that no round before it had; all are loaded and warm.
table: 1,000 count files of 10,000 captions each, made here, to the table, and to the figures at a tenth of the images.
report: `densify density` over a file of 100,000 captions, with another of 100,000 as its baseline.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import noun_finders
from count_files import Corpus, write_count_files
from noun_finders import EN, EN_TWO, NLTK, SPACY, SPACY_TWO, Counter
from record import alone, cores, record

from analysis.captions_input import read_captions
from analysis.words import count_words

REAL_DATA = Path(os.environ.get("DENSIFY_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
OLD_TEXT = "alt_text_noisy"


WEB = Corpus(shards=1000, captions=10_000, nouns=12, vocabulary=2_000_000)


@dataclass(frozen=True)
class Size:
    """How much is measured: captions in a round; what NLTK is trained on; count files; captions of the report."""

    captions: int = 5000
    rounds: int = 3
    training: int | None = None
    counts: Corpus = WEB
    report: int = 100_000


TRIAL = Size(captions=20, rounds=2, training=50, counts=Corpus(5, 40, 12, 1000), report=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["nouns", "table", "report"], help="one part instead of all three")
    parser.add_argument("--data", type=Path, default=REAL_DATA, help="folder with caption-text and ud-treebanks")
    parser.add_argument("--captions", type=Path, help="measure on these captions instead (any file that densify reads)")
    parser.add_argument(
        "--trial", action="store_true", help="a few captions, to see that it works; nothing is recorded"
    )
    options = parser.parse_args()
    size = TRIAL if options.trial else Size()
    command = "python benchmarks/density.py" + (f" --captions {options.captions.name}" if options.captions else "")
    for part in (nouns, table, report):
        if options.only in (None, part.__name__):
            title, rows, note = part(options, size)
            record(f"Concept density: {title}", f"{command} --only {part.__name__}", rows, note, trial=options.trial)


Entry = tuple[str, list[tuple[str, str]], str]

# ---- captions -------------------------------------------------------------------------------------------------------


def demo_texts(count: int) -> tuple[list[str], list[str]]:
    """(dense captions, old texts) of the demo world's scenes, undrawn."""
    import numpy as np

    from scenes.captions import dense
    from scenes.graph import sample_scene
    from scenes.oldtext import old_text

    pairs = []
    for number in range(count):
        rng = np.random.default_rng((77, number))
        scene = sample_scene(rng)
        pairs.append((dense(scene), old_text(scene, rng).text))
    return [dense for dense, _ in pairs], [old for _, old in pairs]


def texts_of(*files: Path) -> list[str]:
    """Every caption of some files, shuffled."""
    found = [text for file in files for _, text in read_captions(file)]
    random.Random(0).shuffle(found)
    return found


def real_files(data: Path) -> list[Path]:
    return sorted((data / "caption-text").glob("*.jsonl"))


def corpora(options: argparse.Namespace, size: Size) -> Iterator[tuple[str, list[str]]]:
    """(name, captions) to find nouns in: enough for every round, and the warm-up."""
    wanted = size.captions * (size.rounds + 1)
    if options.captions:
        yield options.captions.name, texts_of(options.captions)[:wanted]
        return
    if real_files(options.data):
        yield "real", texts_of(*real_files(options.data))[:wanted]
    yield "demo", demo_texts(wanted)[0]


# ---- nouns ----------------------------------------------------------------------------------------------------------


def nouns(options: argparse.Namespace, size: Size) -> Entry:
    treebank = options.data / "ud-treebanks" / "UD_English-EWT"
    known = treebank if treebank.is_dir() else None
    with cores(1):
        nlp = noun_finders.default_form()
        perceptron, said = noun_finders.nltk_tagger(known, size.training)
        finders = {EN: noun_finders.Densify(), SPACY: noun_finders.Spacy(nlp)}
        finders |= {NLTK: perceptron} if perceptron else {}
    ratios, speeds = [], []
    with ExitStack() as stack:
        counters = {name: Counter(1, partial(noun_finders.found_in, finder)) for name, finder in finders.items()}
        counters[EN_TWO] = Counter(2, noun_finders.TwoProcesses(stack).count)
        counters[SPACY_TWO] = Counter(2, partial(noun_finders.found_in, noun_finders.Spacy(nlp, processes=2)))
        for corpus, texts in corpora(options, size):
            rates = noun_finders.rounds_of(counters, texts, size.rounds)
            words = sum(map(count_words, texts)) / len(texts)
            for ours, theirs in ((EN, SPACY), (EN, NLTK), (EN_TWO, SPACY_TWO), (EN_TWO, EN)):
                if theirs in rates:
                    each = [f"{a / b:.2f}" for a, b in zip(rates[ours], rates[theirs], strict=True)]
                    ratios.append((f"{corpus}: {ours} / {theirs}", ", ".join(each)))
            count = len(texts) // (size.rounds + 1)
            speeds.append((f"{corpus}: captions", f"{size.rounds} rounds of {count:,}, of {words:.0f} words each"))
            for name, each_round in rates.items():
                rate = statistics.median(each_round)
                speeds.append((f"{corpus}: {name}", f"{rate:,.0f} captions/s, {rate * words:,.0f} words/s"))
    gold = {"annotated captions": noun_finders.caption_gold()}
    gold |= {"EWT test": noun_finders.treebank_gold(known)} if known else {}
    scores = [
        (
            f"F1, {name}",
            ", ".join(f"{of.split(',')[0]} {noun_finders.f1(each, texts):.1%}" for of, each in finders.items()),
        )
        for name, texts in gold.items()
    ]
    return (
        "finding nouns",
        [*ratios, *speeds, *scores],
        "Ratios are round by round, speeds are medians; only ratios of one run compare. Every round has new captions. "
        "Real: captions and alt text of seven sources, mixed. Demo: dense captions of the demo world, whose few words "
        "suit caches best. `en` also cleans texts and gives lemmas, which the others do not. nlp.pipe starts its "
        "processes anew in each call; the two processes of `en` live on, as workers do. F1: from plain text, on the "
        "gold tokens that are words (no URL, number or lone letter); found is what shares a letter with a found noun. "
        f"{said}",
    )


# ---- table ----------------------------------------------------------------------------------------------------------


def table(options: argparse.Namespace, size: Size) -> Entry:
    from analysis.density import table_from_files

    images = size.counts.shards * size.counts.captions
    with tempfile.TemporaryDirectory(prefix="densify-counts-") as folder:
        files = write_count_files(Path(folder), size.counts)
        size_bytes = sum(file.stat().st_size for file in files)
        with cores(2):
            made, made_s, made_mib = alone(partial(table_from_files, files))
            (rows, estimate_s), compared_s, compared_mib = alone(partial(at_a_tenth, files))
    assert made.images == images
    return (
        f"the table of {images:,} captions",
        [
            ("count files", f"{len(files):,}, together {size_bytes / 1e6:,.0f} MB"),
            ("nouns", f"{made.distinct_nouns:,} different ones, {made.total_nouns:,} occurrences"),
            ("table: seconds", f"{made_s:.1f}"),
            ("table: peak memory of the process, MiB", f"{made_mib:,.0f}"),
            (
                f"figures at {images // 10:,} images: seconds",
                f"{compared_s:.1f}, of them {estimate_s:.2f} without files",
            ),
            ("figures: peak memory of the process, MiB", f"{compared_mib:,.0f}, a histogram of {rows:,} rows"),
        ],
        f"Nouns are drawn by Zipf's law, {size.counts.nouns} for each caption, of {size.counts.vocabulary:,}; in the "
        "paper's table LAION has 2,461,000, and 6.4 for each caption. Two cores, and a process that has yet to import "
        "DuckDB. The aims are 20 s and 2,048 MiB.",
    )


def at_a_tenth(files: list[Path]) -> tuple[int, float]:
    """(rows of the histogram of nouns, seconds that the figures at a tenth of the images take from there)."""
    from analysis.rarefaction import at, from_files

    abundance = from_files(files)
    begin = time.perf_counter()
    at(abundance, abundance.images // 10)
    return len(abundance.nouns), time.perf_counter() - begin


# ---- report ---------------------------------------------------------------------------------------------------------


def report(options: argparse.Namespace, size: Size) -> Entry:
    from cli.density import density

    real = real_files(options.data)
    if options.captions:
        source = options.captions.name
        texts, old = texts_of(options.captions), demo_texts(size.report)[1]
    elif real:
        source = "real captions"
        texts = texts_of(*(file for file in real if file.stem != OLD_TEXT))
        old = texts_of(*(file for file in real if file.stem == OLD_TEXT))
    else:
        source = "captions of the demo world"
        texts, old = demo_texts(size.report)
    with tempfile.TemporaryDirectory(prefix="densify-report-") as folder:
        files = [Path(folder) / "captions.jsonl", Path(folder) / "old.jsonl"]
        words = sum(write_lines(file, lines, size.report) for file, lines in zip(files, (texts, old), strict=True))
        arguments = ["density", str(files[0]), "--baseline", str(files[1])]
        if "html" in inspect.signature(density).parameters:
            arguments += ["--html", str(Path(folder) / "report.html")]
        _, seconds, mib = alone(partial(run_densify, arguments))
    shown = " ".join(arguments).replace(f"{folder}{os.sep}", "")
    return (
        f"a report over {size.report:,} captions",
        [
            ("command", f"`densify {shown}`"),
            ("captions", f"{size.report:,} and as many of the baseline, together {words:,} words"),
            ("seconds, end to end", f"{seconds:.1f}"),
            ("captions/s", f"{2 * size.report / seconds:,.0f}"),
            ("peak memory of the process, MiB", f"{mib:,.0f}"),
        ],
        f"{min(len(texts), size.report):,} {source} and {min(len(old), size.report):,} old texts, each said again from "
        "the start until there are enough. The command runs in a process of its own on all cores; its imports are in "
        "the time.",
    )


def write_lines(file: Path, texts: Sequence[str], count: int) -> int:
    """Writes `count` JSON lines; returns the number of words in them."""
    chosen = list(islice(cycle(texts), count))
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in chosen))
    return sum(map(count_words, chosen))


def run_densify(arguments: list[str]) -> None:
    """The command line in this process."""
    from cli.main import main as densify

    sys.argv = ["densify", *arguments]
    try:
        densify()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"densify ended with {end.code}") from end


if __name__ == "__main__":
    main()
