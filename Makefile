# Everything runs in a venv of its own, .venv, made from pinned and hashed dependencies.
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-kafka kafka test test-containers lint bench chaos truth mutants schemas docs lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.runtime ## simulate days of a wallet, find what is wrong, show it
	@$(BIN)/walletwatch demo

demo-kafka: $(VENV)/.dev ## the same on an Apache Kafka of this machine (needs Java 17 and Maven)
	@$(BIN)/python -m scripts.broker --demo

kafka: $(VENV)/.dev ## run an Apache Kafka on this machine until Ctrl-C (needs Java 17 and Maven)
	@$(BIN)/python -m scripts.broker

test: $(VENV)/.dev ## run all tests but the long ones
	@$(PYTEST) -n 2 --dist worksteal $(ARGS)

test-containers: $(VENV)/.dev ## build the image and test it, docker compose and a broker in containers (needs Docker)
	@$(PYTEST) -m containers $(ARGS)
	@WALLETWATCH_TEST_KAFKA=container $(PYTEST) -n 2 tests/contract -k kafka $(ARGS)

lint: $(VENV)/.dev ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/own-rule/src examples/own-rule/tests

bench: $(VENV)/.dev ## measure speed and memory, run the large versions of tests
	$(BIN)/python -m bench
	$(PYTEST) -m bench $(ARGS)

chaos: $(VENV)/.dev ## kill workers a hundred times and compare what they committed
	$(PYTEST) -m chaos -s $(ARGS)

truth: $(VENV)/.dev ## measure the rules against 20 simulations that know the truth (40 minutes)
	$(BIN)/python -m bench.truth

mutants: $(VENV)/.dev ## break the rules in every place, and see which tests notice (hours)
	$(BIN)/python -m scripts.mutate

schemas: $(VENV)/.runtime ## write the JSON Schemas to schemas/json
	$(BIN)/walletwatch schema export schemas/json

docs: $(VENV)/.runtime ## write the parts of the documentation that the code dictates
	$(BIN)/python -m scripts.docs

LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: ## pin the newest dependencies that pyproject.toml allows (needs uv)
	$(LOCK) pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) --group build --output-file requirements/build.txt
	$(LOCK) pyproject.toml --extra dev --constraints requirements/build.txt \
		--constraints requirements/runtime.txt --output-file requirements/dev.txt

clean: ## remove everything that make has made, .venv too
	rm -rf $(VENV) build dist demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find schemas rules worker walletwatch tests bench scripts -name __pycache__ -prune -exec rm -rf {} +

# The stamps: a step is done again only when what it was made from has changed.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This is " + sys.version)' || { \
		echo "walletwatch needs Python 3.11 or newer, which $(PYTHON) is not." \
			"Name another: make PYTHON=python3.12 demo" >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements/build.txt requirements/runtime.txt pyproject.toml
	@echo "Installing walletwatch into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Installing the development tools ..."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
