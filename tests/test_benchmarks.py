"""The benchmarks: `make` runs all that need no GPU, and they work at a small size, where they record nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from analysis.counts import NounCounts
from analysis.density import table_from_counts, table_from_files
from benchmarks.adaln import AdaLn
from benchmarks.count_files import Corpus, words, write_count_files
from benchmarks.flops import peak, products, trained
from benchmarks.scene_handoff import hand_off_scenes
from tests.training.small_encoders import small_text_encoder, small_vae
from training.models import SIZES, Size, parameters, pixart

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "benchmarks"


#: Of a script that needs a GPU: the first word of what it says of itself.
GPU = '"""GPU: '


def run(script: str, *options: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, which has no settings but the folder."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DENSIFY_DATA": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, FOLDER / f"{script}.py", *options],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


def trial(script: str, *options: str | Path, folder: Path) -> str:
    """What a script prints that runs at a small size; nothing is recorded."""
    before = (FOLDER / "RESULTS.md").read_bytes()
    done = run(script, "--trial", *options, folder=folder)
    assert done.returncode == 0, done.stderr
    assert (FOLDER / "RESULTS.md").read_bytes() == before
    return done.stdout


def test_make_runs_every_benchmark_that_needs_no_gpu() -> None:
    loops = re.findall(r"for script in ([a-z_ ]+); do", (REPOSITORY / "Makefile").read_text())
    scripts = {file.stem: file.read_text() for file in FOLDER.glob("*.py") if "__main__" in file.read_text()}
    on_gpu = {name for name, text in scripts.items() if text.startswith(GPU)}
    assert sorted(name for loop in loops for name in loop.split()) == sorted(scripts.keys() - on_gpu)


def test_synthetic_count_files_are_count_files(tmp_path: Path) -> None:
    files = write_count_files(tmp_path, Corpus(shards=3, captions=50, nouns=12, vocabulary=300, seed=1))
    merged = NounCounts("synthetic")
    for file in files:
        counts = NounCounts.from_parquet(file)
        assert counts.to_parquet() == file.read_bytes()
        assert sum(row[0] for row in counts.nouns.values()) == 50 * 12
        assert all(row[0] >= row[1] > 0 and row[2] in (0, row[0]) for row in counts.nouns.values())
        merged.merge(counts)
    table = table_from_files(files)
    assert table == table_from_counts(merged)
    assert (table.images, table.total_nouns) == (150, 1800)
    assert 1 < table.valid_nouns < table.distinct_nouns <= 300


def test_synthetic_words_are_different_and_in_order() -> None:
    vocabulary = words(20_000)
    assert len(set(vocabulary)) == 20_000
    assert vocabulary == sorted(vocabulary)
    assert {len(word) for word in vocabulary} == {8, 9, 11, 14}


def test_what_a_pixart_computes_is_counted_as_torch_counts_it() -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    size = Size(2, 2, 8, text=12, side=8)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        pixart(size)(
            torch.randn(1, 4, 8, 8),
            encoder_hidden_states=torch.randn(1, 5, 12),
            encoder_attention_mask=torch.ones(1, 5),
            timestep=torch.ones(1),
        )
    assert counter.get_total_flops() == 2 * products(size, tokens=5)
    assert trained(SIZES["XL/2"]) / 1e12 == pytest.approx(0.894, abs=0.001)
    assert (peak("NVIDIA H200"), peak("NVIDIA H100 PCIe"), peak("a toaster")) == (989, 756, None)


def test_the_twin_has_the_papers_parameters_and_does_what_pixart_does_when_told_the_same() -> None:
    with torch.device("meta"):
        assert parameters(AdaLn(pixart(SIZES["XL/2"], learn_sigma=True), 4096)) == 833_213_984
    size = Size(2, 2, 12, text=12, side=8)
    torch.manual_seed(0)
    plain, other = pixart(size), pixart(size)
    for weight in plain.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    other.load_state_dict(plain.state_dict())
    twin = AdaLn(other, 12)
    given = {
        "encoder_hidden_states": torch.randn(3, 5, 12),
        "encoder_attention_mask": torch.tensor([[1.0] * 5, [1.0] * 3 + [0.0] * 2, [1.0] + [0.0] * 4]),
        "timestep": torch.tensor([7.0, 7.0, 7.0]),
    }
    with torch.no_grad():
        # At one time step what adaLN-single says in each block is what the twin's biases say.
        told, time = plain.adaln_single(given["timestep"][:1], hidden_dtype=torch.float32)
        for linear in (*twin.modulate, twin.last, twin.pooled):
            linear.weight.zero_()
        for linear, block in zip(twin.modulate, plain.transformer_blocks, strict=True):
            linear.bias.copy_((told.view(6, -1) + block.scale_shift_table).flatten())
        twin.last.bias.copy_((time + plain.scale_shift_table).flatten())
        latents = torch.randn(3, 4, 8, 8)
        torch.testing.assert_close(twin(latents, **given).sample, plain(latents, **given).sample)


@pytest.mark.slow
def test_concept_density_is_measured_at_a_small_size_and_nothing_recorded(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a dog near the old house\na red ball\n" * 40)
    said = trial("density", "--captions", tmp_path / "captions.txt", "--data", tmp_path, folder=tmp_path)
    for figure in (
        "| captions.txt: `en`, one core / spaCy's default form, one core | ",
        "| captions.txt: `en`, two processes, two cores / spaCy's n_process=2, two cores | ",
        "| captions.txt: captions | 2 rounds of 20, ",
        "| F1, annotated captions | `en` 9",
        "## Concept density: the table of 200 captions",
        "| figures at 20 images: seconds | ",
        "## Concept density: a report over 100 captions",
        "| seconds, end to end | ",
    ):
        assert figure in said, figure


@pytest.mark.slow
def test_a_step_of_training_is_measured_beside_a_plain_one(tmp_path: Path) -> None:
    said = trial("training_step", folder=tmp_path)
    for precision in ("fp32", "bf16"):
        for figure in ("speed, loop / plain", "peak memory, loop / plain", "loop", "plain"):
            assert f"| demo, {precision}, batches of 2: {figure} | " in said, figure


@pytest.mark.slow
def test_data_for_training_are_measured_beside_webdataset_on_the_same_pixels(tmp_path: Path) -> None:
    said = trial("training_data", folder=tmp_path)
    for figure in (
        "| pictures, 1 core: densify / webdataset | ",
        "| pictures, 2 cores: densify / webdataset | ",
        "| features of PixArt's size, 32 x 32 x 4 and 120 x 4096, one core | ",
    ):
        assert figure in said, figure


@pytest.mark.slow
def test_experiments_on_captions_train_draw_and_read_again(tmp_path: Path) -> None:
    small_vae(tmp_path / "kit" / "vae")
    small_text_encoder(tmp_path / "kit")
    manifest = hand_off_scenes(tmp_path / "store", 16, 2, seed=5)
    given = ("--handoff", manifest, "--kit", tmp_path / "kit")
    said = trial("caption_dropout", *given, folder=tmp_path)
    for rate in ("0", "0.1"):
        for scale in ("1", "4"):
            assert f"| dropout {rate}, guidance {scale} | noun 0." in said
    work = ("--work", tmp_path / "work", "--things", "all")
    alone = trial("dense_vs_sparse", *given, *work, "--only", "dropout-0.1-old_text-0", folder=tmp_path)
    assert "LLaVA's captions, step 2, brief: noun" in alone
    assert "old text" not in alone.replace("old texts", ""), "one arm is trained alone, and nothing is told of both"
    said = trial("dense_vs_sparse", *given, *work, folder=tmp_path)
    rows = [line for line in said.splitlines() if line.startswith(("| old text, step ", "| LLaVA's captions, step "))]
    steps = ["step 1", "step 2", "step 2, brief prompts"]
    assert [row.split(" | ")[0].partition(", ")[2] for row in rows] == steps * 2
    assert all(re.search(r"noun \d\.\d{3} \[[\d., ]+\] \(\d\.\d{3}\), colour", row) for row in rows)
    again = trial("dense_vs_sparse", *given, *work, folder=tmp_path)
    assert [line for line in again.splitlines() if line in rows] == rows, "an arm that is done is not trained again"
    trial("caption_dropout", *given, "--work", tmp_path / "other", "--only", "dropout-0.1-old_text-0", folder=tmp_path)
    late = run("dense_vs_sparse", "--trial", *given, "--work", tmp_path / "other", folder=tmp_path)
    assert "has steps that nobody looked at: [1]" in late.stderr
    unknown = run("caption_dropout", "--trial", *given, "--only", "dropout-1", folder=tmp_path)
    assert unknown.stderr.endswith(
        "There is no arm dropout-1: there are dropout-0-old_text-0, dropout-0.1-old_text-0.\n"
    )


@pytest.mark.slow
def test_without_a_gpu_its_benchmark_says_so_in_a_sentence(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run("pixart_gpu", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "This benchmark needs a GPU, and PyTorch finds none.\n"
    said = trial("pixart_gpu", "--size", "demo", "--device", "cpu", "--batch", "2", folder=tmp_path)
    for figure in ("plain step", "through the loop", "peak memory at 2 images, adaLN-single against adaLN"):
        assert f"| {figure} | " in said, figure
