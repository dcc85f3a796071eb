# One command each. Every target sets up what it needs first; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.base
READY := $(VENV)/.ready
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip

# What the first run imports is compiled once and kept in $(VENV), not compiled again in each process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup pins outdated run check check-types check-style test test-system test-browser test-long test-faults fuzz test-gpu notebooks bench bench-tables bench-npbench bench-history bench-cluster qualify docs dist ui up clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(BASE)  ## the notebook's job: generate, split, train, infer, evaluate, tracked; installs only what that takes
	@$(BIN)/vecml run

setup: $(READY)  ## .venv with vecml, every engine and everything that vecml is developed with

# requirements/ names every package at its version and with the SHA-256 of its files, so pip has nothing to resolve and
# takes no other file; torch, nearly half of the bytes, comes beside the others. torch's builds for the CPU alone stand
# in no list of the registry: one in a folder of wheels that pip is told of (PIP_FIND_LINKS) goes before the registry's,
# which on Linux needs CUDA's libraries: `pip check` misses them.
INSTALL := $(PIP) install -qq --require-hashes --only-binary=:all: --no-deps --no-compile
CHECK := missing=$$($(PIP) check) || { echo "$$missing"; exit 1; }
$(BASE): pyproject.toml $(wildcard requirements/*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vecml needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + "\nhint: make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV): one to three minutes, and about 420 MB the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r requirements/installers.txt
	@{ $(INSTALL) --no-index -r requirements/torch.txt 2>/dev/null || $(INSTALL) -r requirements/torch.txt; } & torch=$$!; \
	$(INSTALL) -r requirements/base.txt && wait $$torch
	@$(PIP) install -qq --no-index --no-deps --no-build-isolation -e .
	@$(PIP) check >/dev/null || $(INSTALL) -r requirements/torch-cuda.txt
	@$(CHECK)
	@touch $@

# Meanwhile Python compiles what nearly every process imports, once; else the first that start each do it at once.
COMMON := flows.pipeline, flows.compare, mlflow.server, sklearn.datasets, sklearn.linear_model
$(READY): $(BASE)
	@echo "adding the engines, the tools and the documentation's: about 440 MB the first time"
	@PREFECT_HOME=$(VENV)/.prefect $(BIN)/python -c 'import $(COMMON)' & compiling=$$!; \
	$(INSTALL) -r requirements/everything.txt && wait $$compiling
	@$(CHECK)
	@touch $@

pins: $(READY)  ## the lists in requirements/ anew, for every system, after a version was moved in requirements/constraints.txt
	@$(INSTALL) -r requirements/uv.txt
	@$(BIN)/python requirements/pins.py write

outdated: $(READY)  ## the pins that have something newer, and the newest that the others admit
	@$(INSTALL) -r requirements/uv.txt
	@$(BIN)/python requirements/pins.py outdated

check: check-types check-style  ## ruff, mypy, import contracts

check-types: $(READY)
	$(BIN)/mypy

check-style: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --config pyproject.toml

# Three workers on two cores: a server or another process that starts, and a measurement, leave one idle at times.
WORKERS ?= 3
test: $(READY)  ## the tests that need no server
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not system and not browser and not long and not faults"

test-system: $(READY)  ## real servers, workers and signals; MLflow's and Prefect's pages in Debian's chromium, if it is there
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "(system or browser) and not long" tests/system tests/browser tests/faults

test-long: $(READY)  ## what takes minutes: kills at ten random moments, two workers, everything brought up, champion, optimize
	$(BIN)/python -m pytest -m long tests

test-faults: $(READY)  ## kills, full disks, outages, races and hostile files: hours, and a table; VECML_FAULTS=0.1 is a tenth
	$(BIN)/python -m pytest -m faults tests/faults

fuzz: $(READY)  ## an hour of coverage-guided fuzzing of what vecml reads, by Atheris in an environment of its own (.bench/fuzz)
	@$(BIN)/python -m tests.faults.fuzz

test-browser: $(READY)  ## MLflow's and Prefect's pages and the report in Debian's chromium; skipped, with the reason, without it
	$(BIN)/python -m pytest -m "browser and not long" tests/browser

notebooks: $(READY)  ## both notebooks made from their source and executed; nothing else should run meanwhile
	$(BIN)/python notebooks/build.py --run

test-gpu: $(READY)  ## the engines' contract on a CUDA device; skipped, with the reason, where there is none
	$(BIN)/python -m pytest tests/gpu

bench: $(READY)  ## vecml against the notebook's way and its peers, as ratios; two to three hours, and nothing else should run
	@$(BIN)/python -m benchmarks

bench-tables: $(READY)  ## vecml and scikit-learn on 900 tables that ship with public packages; an hour the first time
	@$(BIN)/python -m benchmarks.tables

bench-npbench: $(READY)  ## vecml optimize on NPBench's kernels with loops, beside their own Numba; hours; VECML_NPBENCH=nbody: that one
	@$(BIN)/python -m benchmarks.npbench

bench-history: $(READY)  ## vecml's change detection beside Apache Otava's, in docs/history.md; some minutes, and nothing is timed
	@$(BIN)/python -m benchmarks.history

bench-cluster: $(READY)  ## vecml predict over many files: one process, two nodes of Ray, Ray Data; an hour, and nothing else should run
	@$(BIN)/python -m benchmarks.clusters

qualify: $(READY)  ## the measuring put to the proof on this machine, 20 minutes; nothing else should run meanwhile
	@$(BIN)/vecml qualify --minutes 20

docs: $(READY)  ## the documentation as a site in site/, which needs no other host; a broken link fails it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

dist: $(READY)  ## wheel and source distribution in dist/
	@$(BIN)/python -m build --quiet --no-isolation --outdir dist .

ui: $(BASE)  ## MLflow's UI over the local store
	@$(BIN)/vecml ui

up: $(BASE)  ## a Prefect server, a worker and MLflow's UI, all on 127.0.0.1, until Ctrl-C
	@$(BIN)/vecml up

clean:  ## remove .venv and caches; mlruns/ and .prefect/ are kept
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist site *.egg-info
