# gaitfarm: `make demo` makes a real gait dataset and trains on it; `make test` runs the whole suite.
# Both set up what they need in ./.venv first; nothing is installed outside it but Debian's GL
# (and, for the tests, Ceph and Chromium) packages, and those only by tools/setup_system.sh, which says what it does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
# How many faults `make soak` injects, by which schedule.
FAULTS ?= 1000
SEED ?= 1
# What `pip install` gets for torch. For a GPU, or for PyTorch's own CPU wheels, see README.md, "Installing".
TORCH ?= torch==2.13.0
# How many processes run tests side by side. Most of the long ones wait, so that two fit on two cores.
TESTERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test soak lint format install gl clean lock

help:
	@echo "make demo    set up, then generate -> verify -> report -> train into ./$(DEMO) (about 15 minutes the first time)"
	@echo "make test    set up, then ruff, mypy and every test"
	@echo "make soak    inject $(FAULTS) faults into campaigns on a real S3 server and in folders (half an hour; can be interrupted)"
	@echo "make lint    ruff and mypy alone"
	@echo "make format  let ruff rewrite the layout"
	@echo "make lock    write constraints.txt from what is installed in $(VENV)"
	@echo "make clean   remove $(VENV), $(DEMO) and the caches"

# --- setting up ----------------------------------------------------------------------------------------

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt tools/find_python.sh
	@python=$$(tools/find_python.sh) && echo "Setting up $(VENV) with $$($$python --version) ..." \
	  && { [ -x $(BIN)/python ] || "$$python" -m venv $(VENV); }
	@$(PIP) install --constraint constraints.txt $(TORCH)
	@$(PIP) install --constraint constraints.txt --editable '.[farm,train,xarray,export,ray,dev]'
	@touch $@

gl:
	@tools/setup_system.sh gl

# --- doing ---------------------------------------------------------------------------------------------

# Each step can be interrupted and goes on where it was: generate keeps what is committed, train its epochs.
demo: install gl
	@$(BIN)/gaitfarm doctor --out $(DEMO)/dataset
	@$(BIN)/gaitfarm generate demo --out $(DEMO)/dataset
	@$(BIN)/gaitfarm verify $(DEMO)/dataset
	@$(BIN)/gaitfarm report $(DEMO)/dataset --out $(DEMO)/report
	@resume=$$([ ! -e $(DEMO)/estimator/run.json ] || echo --resume) \
	  && $(BIN)/gaitfarm train $(DEMO)/dataset --out $(DEMO)/estimator --time-budget 120 $$resume
	@$(BIN)/gaitfarm report $(DEMO)/dataset --out $(DEMO)/report --train $(DEMO)/estimator
	@$(BIN)/python tools/show_demo.py $(DEMO)

test: install lint
	@tools/setup_system.sh gl tests || true  # what is missing then is named again by the tests that could not run
	@tools/setup_system.sh browser || true  # by itself: where there is none, Ceph may still be had
	@OMP_NUM_THREADS=1 LP_NUM_THREADS=1 \
	  $(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

# Progress is in soak.json: the same command goes on. The last line is JSON; exit code 1 if a gait was lost, doubled or wrong.
soak: install
	@tools/setup_system.sh tests || true
	@$(BIN)/python -m tests.faults.soak --faults $(FAULTS) --seed $(SEED) --progress soak.json

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: install
	@tools/lock.sh $(BIN)/python > constraints.txt.new && mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find farm scenes workers tools tests -name __pycache__ -type d -prune -exec rm -rf {} +
