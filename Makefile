# Two commands are the whole set-up: `make up` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: up down test test-slow test-client check screenshots bench bench-console bench-workers replay help
SHELL := /bin/sh

PYTHON_IN_VENV := .venv/bin/python
# Where bytecode may not be kept, every process that starts compiles all its packages anew: seconds, for each of many.
export PYTHONDONTWRITEBYTECODE :=
# One more than cores: tests wait as long as they compute. The database is shared by all of them.
PYTEST_WORKERS ?= 3

up: ## Start everything and print what to open (DETACH=1: return when it answers; API_PORT=, CONSOLE_PORT=)
	@scripts/prepare run
	@exec $(PYTHON_IN_VENV) -m config.supervisor up $(if $(filter-out 0 no,$(DETACH)),--detach)

down: ## Stop everything that `make up` started
	@if [ -f .venv/.prepared-run ]; then exec $(PYTHON_IN_VENV) -m config.supervisor down; else echo "Nothing was running."; fi

test: ## Run the tests (ARGS="-k name" for some)
	@scripts/prepare all
	@exec $(PYTHON_IN_VENV) -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(ARGS)

test-slow: ## Run the long forms of tests that `make test` has short (HYPOTHESIS_PROFILE=nightly: for hours)
	@scripts/prepare all
	@exec $(PYTHON_IN_VENV) -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m full $(ARGS)

test-client: ## Check and test the Python client by itself (ARGS="-k name" for some)
	@scripts/prepare all
	@exec scripts/test-client $(ARGS)

check: ## Lint, types, import contracts, templates, migrations
	@scripts/prepare all
	@exec scripts/check

screenshots: ## Take pictures of every page of the console, and what axe finds, into var/screenshots (needs Chromium)
	@scripts/prepare all
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { echo "Chromium is not installed: apt-get install chromium" >&2; exit 1; }
	@exec $(PYTHON_IN_VENV) -m pytest -q tests/browser/test_pages.py -m full --show-capture=no $(ARGS)

bench: ## Measure on this machine; writes bench/results and bench/README.md (ARGS="--quick")
	@scripts/prepare all
	@exec $(PYTHON_IN_VENV) -m bench $(ARGS)

bench-console: ## Measure every page of the console over 1,000 tenants and 10 million entries (ARGS="--tenants 50 --entries 200000")
	@scripts/prepare all
	@exec $(PYTHON_IN_VENV) -m bench.console $(ARGS)

bench-workers: ## Measure rollups, ticks, expiry beside decisions, and webhooks (ARGS="--entries 100000")
	@scripts/prepare all
	@exec $(PYTHON_IN_VENV) -m bench.workers $(ARGS)

replay: ## Play both recorded traces in full, with budgets that run out half-way, and check every call
	@scripts/prepare all
	@WATERMASTER_FULL_REPLAY=1 exec $(PYTHON_IN_VENV) -m pytest tests/flows/test_replay.py -k whole

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
