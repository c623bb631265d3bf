# Everything a person needs: `make run` starts the tutor, `make test` proves it.
# Needs Python 3.11 and make; everything else is installed into .venv. Building the page needs Node.js
# 20.19 or newer; without it the page that was built before is served.

PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run page stop test test-fast test-gpu check format bench install clean help

help:            ## Show these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

PAGE := frontend/dist/index.html
# Folders too: theirs is the change when a file is gone.
PAGE_SOURCES := $(shell find frontend/src frontend/public frontend/tools) \
	$(addprefix frontend/,index.html package.json package-lock.json tsconfig.json vite.config.ts)

run: .venv/.run  ## Install, build the page, start the tutor in the background, print its URL
	@$(MAKE) -s page || echo "The page could not be built; all the rest is started." >&2
	$(BIN)/tutor up

page: $(PAGE)    ## Build the page, if it has changed

$(PAGE): $(PAGE_SOURCES)
	scripts/page build

stop:            ## Stop it
	$(BIN)/tutor down

install: .venv/.dev  ## Install all that running, testing and checking need

test: .venv/.dev page ## Pass every test
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
	scripts/page check

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

.venv/.dev: pyproject.toml constraints.txt scripts/torchaudio scripts/node | .venv/bin/python
	$(PIP) -e ".[dev,gpu]"
	scripts/torchaudio
	scripts/node install
	@touch $@ .venv/.run

clean:           ## Remove what was installed and built
	rm -rf .venv frontend/node_modules frontend/dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache
