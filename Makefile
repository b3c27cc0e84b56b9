# Everything a newcomer needs: `make help`. Python 3.11+ and make are enough; the tools install themselves into .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NATIVE := $(shell find pipeline models -name '_*.pyx' -o -name '_*.pxd' -o -name '_*.h')
COMPILED := $(subst /,.,$(basename $(filter %.pyx,$(NATIVE))))

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types layers format check clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## install the program and its tools into .venv

$(READY): pyproject.toml uv.lock $(NATIVE)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@find pipeline models -name '_*.so' -delete
	@VIRTUAL_ENV=$(CURDIR)/.venv UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv $(BIN)/uv sync --quiet --frozen --inexact --reinstall-package cardwatch
	@$(MAKE) --no-print-directory compiled
	@touch $@

.PHONY: compiled
compiled: # says so when one of the compiled modules is missing
	@$(BIN)/python -c '$(foreach module,$(COMPILED),import $(module);)' 2>/dev/null || echo "Not all compiled modules were built (no C compiler with Python headers?): the scorer runs in pure Python where one is missing, with equal results. With a compiler, run: make clean install"

demo: $(READY) ## start everything on this machine; the desk is at http://127.0.0.1:8080
	@$(BIN)/cardwatch demo

test: $(READY) ## the tests that need no server of yours
	@$(BIN)/python -m pytest -q -n auto --dist worksteal

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

.PHONY: proof-outages proof-redis-latency
proof-outages: $(READY) $(KAFKA_LIBS) ## each outage of the scorer, 30 s long; prints the outage table (Kafka, Redis)
	@CARDWATCH_PROOF_OUTAGE_S=30 $(REAL) tests/real/test_outages.py

proof-redis-latency: $(READY) $(KAFKA_LIBS) ## latency while Redis is away against latency with it, 7 pairs of 30 s
	@$(BIN)/python benchmarks/redis_outage_latency.py $(KAFKA_LIBS)

.PHONY: proof-scale
proof-scale: $(READY) $(KAFKA_LIBS) ## 1 → 4 → 1 scorers under load, six times, one killed each time (Kafka, Redis)
	@CARDWATCH_PROOF_ROUNDS=6 CARDWATCH_PROOF_RATE=500 CARDWATCH_PROOF_STEADY_S=3 $(REAL) tests/real/test_scale_out.py

.PHONY: proof-contact-year
proof-contact-year: $(READY) ## 20,000 simulated customers asked for a year, judged from outside; ARGS="--customers 2000" for a quick look
	@$(BIN)/python benchmarks/contact_year.py $(ARGS)

.PHONY: proof-reminder-year
proof-reminder-year: $(READY) ## 20,000 simulated customers billed and reminded for a year, judged from outside; ARGS="--customers 2000" for a quick look
	@$(BIN)/python benchmarks/reminder_year.py $(ARGS)

.PHONY: proof-contact
proof-contact: $(READY) $(KAFKA_LIBS) ## transaction to first request beside a relay, 5 pairs of 60 s; a million scheduled steps (Kafka, Redis)
	@$(BIN)/python benchmarks/contact_latency.py $(KAFKA_LIBS) --seconds 60 --pairs 5
	@$(BIN)/python benchmarks/contact_store.py --contacts 1000000 --seconds 60 --pairs 5

.PHONY: proof-reminders
proof-reminders: $(READY) $(KAFKA_LIBS) ## reminders of 2,000 accounts while the role is killed 20 times; a million accounts planned (Kafka, Redis)
	@CARDWATCH_PROOF_ACCOUNTS=2000 CARDWATCH_PROOF_KILLS=4 $(REAL) tests/real/test_reminders_killed.py
	@$(BIN)/python benchmarks/reminder_plan.py

.PHONY: proof-reminder-story
STEPS_OF_A_BILL := bill promise day_passes pay_part six_o_clock
proof-reminder-story: $(READY) $(KAFKA_LIBS) ## one bill from statement to thanks, undisturbed, then the roles killed between any two steps; what it costs (Kafka, Redis)
	@CARDWATCH_PROOF_KILLED_AFTER=" " $(REAL) tests/real/test_reminder_story.py
	@CARDWATCH_PROOF_KILLED_AFTER="$(STEPS_OF_A_BILL)" CARDWATCH_PROOF_ROUNDS=3 $(REAL) tests/real/test_reminder_story.py
	@CARDWATCH_PROOF_KILLED_AFTER="$(STEPS_OF_A_BILL)" CARDWATCH_PROOF_BOTH_ROLES=1 $(REAL) tests/real/test_reminder_story.py
	@$(BIN)/python benchmarks/reminder_latency.py $(KAFKA_LIBS)

.PHONY: proof-detection
proof-detection: $(READY) ## scores beside weekly batch models and River on five simulated streams of each kind (hours; may be broken off); ARGS="--models Cardwatch" for less
	@mkdir -p var/streams
	@for kind in terminals habits everyone; do for seed in 0 1 2 3 4; do \
	  test -f var/streams/$${kind}_$$seed.parquet || $(BIN)/cardwatch simulate --preset $$kind --seed $$seed --to file --out var/streams/$${kind}_$$seed.parquet || exit 1; \
	done; done
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/var/detection $(BIN)/uv sync --quiet --frozen --no-default-groups --group detection
	@for kind in terminals habits everyone; do \
	  var/detection/bin/python benchmarks/detection_quality.py var/streams/$${kind}_?.parquet $(ARGS) > var/proof.md || exit 1; \
	done
	@for late in "7 --calls-per-day 100" 1 1000; do \
	  var/detection/bin/python benchmarks/detection_quality.py var/streams/terminals_?.parquet --models Cardwatch --label-delay-days $$late > var/proof.md || exit 1; \
	done
	@var/detection/bin/python benchmarks/detection_quality.py var/streams/terminals_0.parquet var/streams/habits_0.parquet --models Cardwatch --ablation

.PHONY: bench
bench: $(READY) $(KAFKA_LIBS) ## this machine's figures beside other programs' (Kafka, Redis); ARGS="--short" for a quick look
	@sh .ci/install-redis.sh
	@$(BIN)/python benchmarks/on_own_servers.py $(KAFKA_LIBS) $(ARGS)

clean: ## remove what was installed and built
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis var
	@find pipeline models -name '_*.so' -delete -o -name '_*.c' -delete
