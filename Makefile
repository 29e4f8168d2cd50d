# The only task runner. `make` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := list
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
DATA ?= waystation-data
ARGS ?=

STEP := scripts/step
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
LOCKS := hub postgres agent dev build uv

# What Debian and Raspberry Pi OS must have for the tests; `make run` needs python3-venv only.
SERVERS := postgresql mosquitto mosquitto-clients chromium libatomic1 fuse3 $(if $(shell command -v npm),,nodejs npm)

.PHONY: list install run test check lint format types imports shape fix bench faults snapshots lock clean

list: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.hub ## Install the hub and the agent into .venv

run: install ## Install what is missing, start a hub and this machine's agent (DATA=folder ARGS=…)
	@exec $(BIN)/waystation up --data "$(DATA)" $(ARGS)

test: .venv/.dev node_modules/.locked .venv/.servers ## Every check and test, on SQLite and PostgreSQL, with real servers
	@$(MAKE) check
	@mkdir -p test-results
	@echo "Units and slices"
	@$(PYTEST) -n 2 -m "not servers and not browser and not faults" --junitxml=test-results/units.xml
	@echo "Servers, browser and short fault runs"
	@$(PYTEST) -m "(servers or browser) and not faults" --junitxml=test-results/servers.xml

check: .venv/.dev node_modules/.locked ## Lint, types, import order, architecture, snapshots, secrets
	@$(MAKE) --keep-going lint format types imports shape

lint:
	@$(STEP) "ruff: lint" $(BIN)/ruff check

format:
	@$(STEP) "ruff: format" $(BIN)/ruff format --check

types:
	@$(STEP) "pyright: types" node_modules/.bin/pyright

imports:
	@$(STEP) "import-linter: order of imports" $(BIN)/lint-imports --no-logo

shape:
	@$(STEP) "architecture, snapshots, secrets" $(PYTEST) tests/architecture tests/snapshots

fix: .venv/.dev ## Repair what ruff can repair, and format
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format --quiet

snapshots: .venv/.dev ## Write the contracts that are files anew: look at the diff
	@WAYSTATION_WRITE_SNAPSHOTS=1 $(PYTEST) tests/snapshots

bench: .venv/.dev ## Measure the promises against their baselines (ARGS=--quick)
	@set -e; for script in http_single http_batches mqtt store history start connections; do \
		echo "bench/$$script"; $(BIN)/python bench/$$script.py $(ARGS); done
	@$(BIN)/python bench/report.py --page

faults: .venv/.dev .venv/.servers ## The long fault runs: 50 rounds of kill -9, power cuts, full disks
	@mkdir -p test-results
	@$(PYTEST) -m faults -s --junitxml=test-results/faults.xml

lock: .venv/.dev ## Take the newest versions allowed by requirements/*.in
	@for name in $(LOCKS); do $(STEP) "requirements/$$name.txt" $(BIN)/uv pip compile --upgrade --universal --generate-hashes \
		--python-version 3.11 --no-emit-index-url requirements/$$name.in -o requirements/$$name.txt; done
	@$(STEP) "package-lock.json" npm update --package-lock-only

clean: ## Remove what make made; data folders stay
	@rm -rf .venv node_modules test-results .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What follows is done once, and again only when the file it depends on has changed.

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Waystation needs Python 3.11 or newer; this is " + sys.version)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(STEP) "python3-venv" scripts/debian-packages python3-venv
	@$(STEP) "Python environment in .venv" $(PYTHON) -m venv .venv
	@touch $@

.venv/.hub: .venv/.made requirements/hub.txt requirements/agent.txt requirements/build.txt requirements/uv.txt pyproject.toml agent/pyproject.toml
	@$(STEP) "hub and agent libraries" scripts/python-packages requirements/build.txt requirements/hub.txt requirements/agent.txt
	@$(STEP) "hub and agent" $(BIN)/python -m pip install --no-deps --no-build-isolation -e . -e agent
	@touch $@

.venv/.dev: .venv/.hub requirements/dev.txt
	@$(STEP) "libraries for checks and tests" scripts/python-packages requirements/dev.txt
	@touch $@

.venv/.servers: Makefile .venv/.made
	@$(STEP) "servers for tests" scripts/debian-packages $(SERVERS)
	@touch $@

node_modules/.locked: package.json package-lock.json
	@command -v npm >/dev/null || $(STEP) "nodejs and npm" scripts/debian-packages nodejs npm
	@$(STEP) "checkers from npm" npm ci --no-audit --no-fund
	@touch $@
