# The front desk: what a person does here and what CI does are the same targets. A fresh machine needs make and
# Python 3.11 or newer, nothing else; `make help` says what there is.

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The interpreter that the environments are made with: the first that is new enough (a name on PATH may be a shim that
# leads nowhere, so each is run). `make setup PYTHON=/path/to/python` names another one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
  $$p -c '$(NEW_ENOUGH)' 2>/dev/null && exec echo $$p; done; echo python3)
VENV := .venv
SERVERS := $(VENV)/servers
BIN := $(VENV)/bin
CONSTRAINTS := deploy/constraints
CODE := gateway workers pipeline schemas deploy tests
WHEEL_DIR := build/wheel
PIP := -m pip --disable-pip-version-check

# What `make run` uploads, and whether it ends after that one upload.
FILE ?=
ONCE ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
# How many test files run at a time: most of what tests do is to wait, so there are more of them than cores.
TEST_WORKERS ?= 6
# What is broken when, and for how long: see tests/programs/torture.
SEED ?= 1
MINUTES ?= 10

##@ Start here
.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n'

.PHONY: setup
setup: $(VENV)/.installed $(SERVERS)/.installed ## Make .venv and .venv/servers; instant when nothing has changed

.PHONY: setup-servers
setup-servers: $(SERVERS)/.installed ## Make .venv/servers alone: Swift and Keystone, apart from our own packages

.PHONY: run
run: setup ## Run all of Sluice here, with a demo; FILE="my film.mp4" uploads that file, ONCE=1 ends after it
	@exec $(BIN)/sluice up --demo $(if $(FILE),--file "$$FILE") $(if $(ONCE),--once)

##@ Check a change
.PHONY: check
check: lint types layers test-unit ## What is quick: lint, types, layers and the unit tests

# Bytecode is written even where the environment forbids it: the tests start hundreds of processes.
.PHONY: test
test: setup ## Every test, with real servers; PYTEST_ARGS="-k redis -x" narrows it
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --durations 10 $(PYTEST_ARGS)

.PHONY: test-unit
test-unit: setup ## Tests without any I/O: seconds
	$(BIN)/pytest -m unit $(PYTEST_ARGS)

.PHONY: lint
lint: setup ## Ruff: rules and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: format
format: setup ## Ruff: mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: types
types: setup ## mypy --strict over everything
	$(BIN)/mypy

.PHONY: layers
layers: setup ## import-linter: who may import whom
	$(BIN)/lint-imports

##@ Build and measure
.PHONY: docs
docs: setup ## Write the README's tables of settings, errors and metrics anew, from the code
	$(BIN)/python -m deploy.reference README.md

.PHONY: wheel
wheel: setup ## Build the wheel, install it into an empty environment, try it there
	rm -rf $(WHEEL_DIR) build/lib build/bdist.*
	$(BIN)/python -m build --quiet --wheel --outdir $(WHEEL_DIR)
	$(PYTHON) -m venv $(WHEEL_DIR)/env
	$(WHEEL_DIR)/env/bin/python $(PIP) install --quiet --constraint $(CONSTRAINTS)/app.txt $(WHEEL_DIR)/*.whl
	cd / && '$(CURDIR)/$(WHEEL_DIR)/env/bin/sluice' --help >/dev/null
	cd / && '$(CURDIR)/$(WHEEL_DIR)/env/bin/python' -I -m deploy.check_wheel

.PHONY: bench
bench: setup ## Measure throughput and memory against real servers; BENCH_ARGS goes to tests.programs.bench
	$(BIN)/python -m tests.programs.bench $(BENCH_ARGS)

.PHONY: torture
torture: setup ## Break everything at random while uploads run, then look for what was lost; SEED=n MINUTES=m
	$(BIN)/python -m tests.programs.torture --seed $(SEED) --minutes $(MINUTES)

##@ Tidy up
.PHONY: clean
clean: ## Remove what builds and tests left behind; keeps .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## As clean, and remove .venv and the state of `make run`
	rm -rf $(VENV) .sluice

# Stamps: a second `make setup` does nothing, a changed constraint file or pyproject.toml installs again.
# An environment whose interpreter is gone (a moved clone, an upgraded Python) is made anew.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)/app.txt
	@'$(PYTHON)' -c '$(NEW_ENOUGH)' 2>/dev/null || { printf '%s\n' \
	  "Sluice needs Python 3.11 or newer; '$(PYTHON)' is $$('$(PYTHON)' --version 2>/dev/null || echo missing)." \
	  'Install one, or name one: make setup PYTHON=/path/to/python3.11' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { echo 'This Python cannot make environments: install its venv package (Debian: apt-get install python3-venv).' >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear $(VENV)
	$(BIN)/python $(PIP) install --quiet --constraint $(CONSTRAINTS)/app.txt --editable '.[embedded,dev]'
	@touch $@

# --no-deps: the list is complete, and the resolver needs minutes to find that out.
$(SERVERS)/.installed: $(CONSTRAINTS)/servers.txt | $(VENV)/.installed
	@$(SERVERS)/bin/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear $(SERVERS)
	$(SERVERS)/bin/python $(PIP) install --quiet --no-deps --requirement $(CONSTRAINTS)/servers.txt
	@touch $@
