# Every target runs on a fresh clone: it makes .venv from the hash-locked requirements when it has to.
# Options go through ARGS, as in `make test ARGS="-k watermark"`.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

ARGS ?=
PYTHON := .venv/bin/python
RUN := .venv/.requirements
DEV := .venv/.requirements-dev
COMPILE := $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--fork-strategy fewest --custom-compile-command "make lock" --extra local

# Either stamp is enough to run: the development lock holds everything of the other one.
$(RUN): requirements.lock pyproject.toml scripts/venv
	@scripts/venv requirements.lock $@

$(DEV): requirements.lock requirements-dev.lock pyproject.toml scripts/venv
	@scripts/venv requirements-dev.lock $@ $(RUN)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: up
up: $(RUN) ## Set up and run everything on this machine; Ctrl-C stops it
	@.venv/bin/reactorsync up $(ARGS)

.PHONY: down
down: ## Stop what `make up` started, from another terminal
	@if [ -x .venv/bin/reactorsync ]; then .venv/bin/reactorsync down $(ARGS); \
	else echo "Nothing is set up here, so nothing runs."; fi

.PHONY: test
test: $(DEV) ## Set up and run every test
	@$(PYTHON) -m pytest $(ARGS)

.PHONY: test-cluster
test-cluster: $(DEV) ## Test on an API server; ARGS=--record writes the outcome into docs/reliability.md
	@scripts/test-cluster $(ARGS)

.PHONY: lint
lint: $(DEV) ## Check style, spelling, types and the one-way imports
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@.venv/bin/codespell
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-logo

.PHONY: check
check: lint test ## Check all that CI checks: lint and test

.PHONY: bench
bench: $(DEV) ## Measure, print the tables and write docs/benchmarks.md
	@$(PYTHON) -m benchmarks.run $(ARGS)

.PHONY: format
format: $(DEV) ## Format the code and fix what can be fixed safely
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

.PHONY: crds
crds: $(RUN) ## Write crds/ from the resource models
	@$(PYTHON) -m reactorsync.resources.crd crds/

.PHONY: lock
lock: $(DEV) ## Lock the requirements again; ARGS=--upgrade takes the newest versions
	@$(COMPILE) --group build --output-file requirements.lock $(ARGS) pyproject.toml
	@$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock $(ARGS) pyproject.toml
