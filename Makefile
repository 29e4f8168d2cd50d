# The only task runner. `make` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := list
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Python keeps what it compiled, also where a machine's environment says otherwise: each start is two seconds shorter.
export PYTHONDONTWRITEBYTECODE :=
# Tests that end no power need no disk.
SHM := /dev/shm
export PYTEST_DEBUG_TEMPROOT ?= $(shell [ -w $(SHM) ] && [ "$$(df --output=avail -k $(SHM) | tail -1)" -gt 4000000 ] && echo $(SHM) || echo "$${TMPDIR:-/tmp}")

PYTHON ?= python3
DATA ?= waystation-data
ARGS ?=

STEP := scripts/step
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
LOCKS := hub postgres agent dev build uv

# What Debian and Raspberry Pi OS must have for the tests; `make run` needs python3-venv only.
SERVERS := g++ postgresql redis-server mosquitto mosquitto-clients chromium libatomic1 fuse3 openssl systemd $(if $(shell command -v npm),,nodejs npm)

.PHONY: list install run test check units servers lint format types imports shape fix bench peers faults snapshots lock clean

list: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.hub ## Install the hub and the agent into .venv

run: install ## Install what is missing, start a hub and this machine's agent (DATA=folder ARGS=…)
	@exec $(BIN)/waystation up --data "$(DATA)" $(ARGS)

test: .venv/.dev node_modules/.locked .venv/.servers ## Every check and test, with real servers; all run, also after one failed
	@mkdir -p test-results
	@$(MAKE) --keep-going check units servers

units:
	@echo "Units and slices"
	@$(PYTEST) -n 2 --dist worksteal -m "not servers and not browser and not faults" --junitxml=test-results/units.xml

servers:
	@echo "Servers, browser and short fault runs"
	@$(PYTEST) -n 3 --dist worksteal -m "(servers or browser) and not faults" --junitxml=test-results/servers.xml

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
	@WAYSTATION_WRITE_SNAPSHOTS=1 $(PYTEST) tests/snapshots tests/test_access_matrix.py

bench: .venv/.dev ## Measure the promises against their baselines (ARGS=--quick)
	@set -e; for script in http_single http_batches mqtt store alerts history export start connections files rate_limits messages commands growth stalls; do \
		echo "bench/$$script"; $(BIN)/python bench/$$script.py $(ARGS); done; \
	for script in history growth stalls; do \
		echo "bench/$$script on PostgreSQL"; $(BIN)/python bench/$$script.py --postgresql $(ARGS); done
	@$(BIN)/python bench/report.py --page

peers: .venv/.dev ## Measure InfluxDB and VictoriaMetrics beside Waystation, where they are installed (ARGS=--quick)
	@$(BIN)/python bench/peers.py $(ARGS)
	@$(BIN)/python bench/report.py --page

faults: export WAYSTATION_NEW_EXAMPLES := 1
faults: .venv/.dev .venv/.servers ## The long fault runs: 50 rounds of kill -9, power cuts, full disks; properties with new examples
	@mkdir -p test-results
	@$(MAKE) units
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
