# Two commands: `make demo` and `make test`. `make help` lists the others.

VENV ?= .venv
PY := $(VENV)/bin/python
.DEFAULT_GOAL := help
.PHONY: help env demo test quick system lint bench lock screenshots clean

# With the Java that bootstrap found.
RUN := . $(VENV)/java.env &&
QUICK := -m "not system" -n 2 --dist loadfile

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

env: ## create or refresh the environment from the lock file
	@bash .ci/bootstrap $(VENV)

demo: env ## run the flights pipeline on a real Airflow and keep its UI up (DEMO_ONCE=1 ends instead)
	@$(RUN) $(PY) -m kindling_airflow.cli.demo

test: env lint ## everything: lint, types, import rules, quick tests with branch coverage, system tests
	$(RUN) $(PY) -m pytest $(QUICK) --cov
	$(RUN) $(PY) -m pytest -m system

quick: env ## the tests that need no JVM
	$(RUN) $(PY) -m pytest $(QUICK)

system: env ## the tests with a real scheduler and real Spark
	$(RUN) $(PY) -m pytest -m system

lint: env ## ruff, mypy strict, import-linter
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-cache

bench: env ## speed, as ratios against references measured in the same run
	$(RUN) $(PY) -m benchmarks

screenshots: env ## pictures of the flights run in the real UI, for the README
	$(RUN) $(PY) docs/screenshots.py

lock: ## compile the lock file anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url --no-header \
		--extra spark --group demo --group dev pyproject.toml -o requirements.lock

clean: ## remove what the targets made
	rm -rf .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
