# Everything a newcomer needs: `make help`. Python 3.11+ and make are enough; the tools install themselves into .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types layers format check clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## install the program and its tools into .venv

$(READY): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@VIRTUAL_ENV=$(CURDIR)/.venv UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv $(BIN)/uv sync --quiet --frozen --inexact
	@touch $@

demo: $(READY) ## start everything on this machine; the desk is at http://127.0.0.1:8080
	@$(BIN)/cardwatch demo

test: $(READY) ## the tests that need no server of yours
	@$(BIN)/python -m pytest -q

lint: $(READY) ## style and mistakes (ruff)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY) ## types (mypy --strict)
	@$(BIN)/mypy

layers: $(READY) ## who may import whom (import-linter)
	@$(BIN)/lint-imports

check: lint types layers test ## all of the above

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

.PHONY: schemas proof-kill
schemas: $(READY) ## write docs/schemas anew from the code's types
	@$(BIN)/python -c 'from pathlib import Path; from pipeline.core.schemas import TYPES, as_text; [Path(f"docs/schemas/{t.name}.json").write_text(as_text(t), encoding="utf-8") for t in TYPES]'

KAFKA_LIBS := var/kafka-libs
REAL := CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS=$(KAFKA_LIBS) $(BIN)/python -m pytest -q -s

$(KAFKA_LIBS):
	@bash .ci/install-kafka.sh $(KAFKA_LIBS)

proof-kill: $(READY) $(KAFKA_LIBS) ## 20,000 transactions while each role is killed twice (Kafka, Redis)
	@CARDWATCH_PROOF_TRANSACTIONS=20000 CARDWATCH_PROOF_KILLS=2 $(REAL) tests/real/test_roles_killed.py

clean: ## remove what was installed and built
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis var
