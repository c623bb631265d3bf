# Everything a person needs: `make run` starts the tutor, `make test` proves it.
# Needs Python 3.11 and make; everything else is installed into .venv.

PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run stop test test-fast test-gpu check format bench install clean help

help:            ## Show these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: .venv/.run  ## Install, start the tutor in the background, print its URL
	$(BIN)/tutor up

stop:            ## Stop it
	$(BIN)/tutor down

install: .venv/.dev  ## Install all that running, testing and checking need

test: .venv/.dev ## Pass every test
	scripts/system-packages
	$(BIN)/python -m pytest

test-fast: .venv/.dev ## Only the tests that start no Ray cluster
	$(BIN)/python -m pytest -m "not cluster and not gpu"

test-gpu: .venv/.dev ## Only the tests that need an NVIDIA GPU
	$(BIN)/python -m pytest -m gpu

check: .venv/.dev ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## Put the source into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

BENCHES := $(patsubst benchmarks/bench_%.py,bench-%,$(wildcard benchmarks/bench_*.py))
.PHONY: $(BENCHES)

bench: $(BENCHES) ## All benchmarks; `make bench-<name>` for one

$(BENCHES): bench-%: .venv/.dev
	$(BIN)/python -m benchmarks.bench_$*

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt scripts/torchaudio | .venv/bin/python
	$(PIP) -e ".[dev,gpu]"
	scripts/torchaudio
	@touch $@ .venv/.run

clean:           ## Remove what was installed and built
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
