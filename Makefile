# Each target sets up .venv by itself. `make demo` and `make test` work on a bare machine with Python 3.11+.
.PHONY: help setup demo test lint fmt serve bench claims clean
BIN := .venv/bin

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

setup:           ## make .venv and install everything (skipped while nothing changed)
	@sh scripts/setup.sh

demo: setup      ## the main job on this machine: pictures, upload, captions, density, hand-off, proof, a report
	@$(BIN)/densify demo

test: setup      ## all tests
	@sh scripts/services.sh
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: setup      ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

fmt: setup       ## rewrite the code in the house format
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

serve: setup     ## API and one worker in this process, on SQLite and a local folder
	@$(BIN)/densify serve --embedded

bench: setup     ## every benchmark that runs on a CPU
	@for script in demo_captions service_overhead upload density dark_images training_step training_data; do $(BIN)/python benchmarks/$$script.py || exit 1; done

claims: setup    ## what dense captions and caption dropout are good for: hours of training on what `make demo` made
	@for script in caption_dropout dense_vs_sparse; do $(BIN)/python benchmarks/$$script.py || exit 1; done

clean:           ## remove what setup and demo made
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
