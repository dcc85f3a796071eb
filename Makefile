# One command each. Every target sets up what it needs first; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run check test test-system test-browser test-long test-gpu notebooks bench qualify ui up clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)  ## .venv with vecml and everything that it is developed with

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vecml needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + "\nhint: make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV): about a minute, and some hundred megabytes the first time"
	@$(PYTHON) -m venv $(VENV)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq -c constraints.txt -e '.[dev,all,bench]'
	@touch $@

run: $(READY)  ## the notebook's job: generate, split, train, infer, evaluate, tracked
	@$(BIN)/vecml run

check: $(READY)  ## ruff, mypy, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

test: $(READY)  ## the tests that need no server
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not system and not browser and not long"

test-system: $(READY)  ## real servers, workers and signals
	$(BIN)/python -m pytest -m "system and not long" tests/system

test-long: $(READY)  ## what takes minutes: kills at ten random moments, two workers, everything brought up, champion, optimize
	$(BIN)/python -m pytest -m long tests

test-browser: $(READY)  ## MLflow's and Prefect's pages and the report in Debian's chromium; skipped, with the reason, without it
	$(BIN)/python -m pytest -m "browser and not long" tests/browser

notebooks: $(READY)  ## both notebooks made from their source and executed; nothing else should run meanwhile
	$(BIN)/python notebooks/build.py --run

test-gpu: $(READY)  ## the engines' contract on a CUDA device; skipped, with the reason, where there is none
	$(BIN)/python -m pytest tests/gpu

bench: $(READY)  ## vecml against the notebook's way, as ratios; nothing else should run meanwhile
	@$(BIN)/python -m benchmarks

qualify: $(READY)  ## the measuring put to the proof on this machine, 20 minutes; nothing else should run meanwhile
	@$(BIN)/vecml qualify --minutes 20

ui: $(READY)  ## MLflow's UI over the local store
	@$(BIN)/vecml ui

up: $(READY)  ## a Prefect server, a worker and MLflow's UI, all on 127.0.0.1, until Ctrl-C
	@$(BIN)/vecml up

clean:  ## remove .venv and caches; mlruns/ and .prefect/ are kept
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build *.egg-info
