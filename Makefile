# Two commands: `make demo` and `make test`. `make help` lists the others.

VENV ?= .venv
PY := $(VENV)/bin/python
.DEFAULT_GOAL := help
.PHONY: help env demo demo-session demo-streams cluster-demo test extended cluster quick system one lowest lint fmt docs dist \
	bench soak lock screenshots ui-at-size clean

# With the Java that bootstrap found.
RUN := . $(VENV)/java.env &&
QUICK := -m "not system" -n 2 --dist loadfile
FILES := -n 2 --dist loadfile --no-loadscope-reorder
SLOW := -m "system and not extended and not cluster" $(FILES)
EXTENDED := -m extended $(FILES)

# The lowest supported releases, and the tests that need Airflow. Their drivers run on the Spark of
# $(VENV): a driver does not use Airflow.
LOWEST := $(VENV)-lowest
ON_LOWEST := $(RUN) PATH="$(abspath $(VENV)/bin):$$PATH" PYSPARK_PYTHON="$(abspath $(PY))" \
	$(LOWEST)/bin/python -m pytest
ON_AIRFLOW := tests/dag_factory tests/definitions tests/operators tests/triggers tests/plugin tests/pools \
	tests/cli tests/translator tests/safety tests/rooms/test_determinism.py tests/test_provider_info.py \
	--ignore tests/safety/test_tables.py

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

env: ## create or refresh the environment from the lock file
	@bash .ci/bootstrap $(VENV)

demo: env ## run the flights pipeline on a real Airflow and keep its UI running (DEMO_ONCE=1: end)
	@$(RUN) $(PY) -m demo.flights

demo-session: env ## run the flights pipeline with a driver for each pipe, then with one (DEMO_ONCE=1: end)
	@$(RUN) $(PY) -m demo.session

demo-streams: env ## run the streams sample on a real Airflow until Ctrl-C (DEMO_ONCE=1: end)
	@$(RUN) $(PY) -m demo.streams

cluster-demo: env ## run flights on Celery hosts, PostgreSQL, Redis, S3 and Iceberg (DEMO_ONCE=1: end)
	@$(RUN) $(PY) -m demo.cluster

test: env lint ## a quarter of an hour: lint, types, import rules, tests, the main ones on Airflow and Spark
	$(RUN) $(PY) -m pytest $(QUICK) --cov
	$(RUN) $(PY) -m pytest $(SLOW) --durations=25

extended: env ## the tests that 'make test' leaves out: every format and fault, the lowest Airflow
	@$(MAKE) --no-print-directory lowest
	$(RUN) $(PY) -m pytest $(EXTENDED) --durations=25

quick: env ## the tests that need no JVM
	$(RUN) $(PY) -m pytest $(QUICK)

system: env ## the tests with a real scheduler and real Spark that are part of 'make test'
	$(RUN) $(PY) -m pytest $(SLOW)

one: env ## one test, file or folder: make one T=tests/...; or by a word: make one T="-k watermark"
	$(RUN) $(PY) -m pytest -x --showlocals $(or $(T),$(error Name a test: make one T=tests/...))

cluster: env ## tests of what is lost on the way: YARN, Celery hosts, schedulers; the cluster demo
	$(RUN) $(PY) -m pytest -m cluster --durations=10

lowest: env ## the tests that need Airflow, with the lowest supported releases
	@bash .ci/bootstrap $(LOWEST) requirements-lowest.lock
	$(ON_LOWEST) -m "not system or versions" -n 2 --dist loadfile --no-loadscope-reorder \
		tests/system/test_versions.py $(ON_AIRFLOW)

lint: env ## ruff, mypy strict, import-linter; wording and links of the pages
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PY) docs/prose.py
	$(PY) -m pytest -q tests/docs/test_links.py

fmt: env ## format code and pages, and apply the fixes that ruff has
	$(PY) -m ruff format
	$(PY) -m ruff check --fix
	$(PY) docs/prose.py --wrap

docs: env ## renew the generated parts of the pages, and build the site into build/docs (Python 3.11 or newer)
	$(RUN) $(PY) docs/generate.py
	$(PY) -m sphinx -q -n -W --keep-going -j auto -c docs . build/docs
	@echo "Open build/docs/index.html"

dist: env ## build sdist and wheel, install the wheel in a clean environment, run the first pipeline from it
	@bash .ci/dist $(VENV)

bench: env ## speed, as ratios against references measured in the same run
	$(RUN) $(PY) -m benchmarks

soak: env ## two minutes of parsing; 100,000 records through streams; 5,000 columns of values; races; clocks
	$(RUN) KINDLING_SOAK_SECONDS=120 $(PY) -m pytest -m system tests/system/test_stable_version.py
	$(RUN) KINDLING_STREAM_RECORDS=100000 $(PY) -m pytest -m system tests/system/test_streams.py
	$(RUN) KINDLING_STORED_EXAMPLES=5000 $(PY) -m pytest -m system -n 2 --dist loadfile \
		tests/runner/test_format_parquet.py tests/runner/test_format_delta.py \
		tests/runner/test_format_iceberg.py
	$(RUN) KINDLING_TEST_RACES=200 KINDLING_TEST_STORE=s3a $(PY) -m pytest \
		tests/runner/object_stores/parquet_tests.py -k "two_drivers or twice_at_once"
	$(RUN) KINDLING_RACE_ROUNDS=200 $(PY) -m pytest -m system tests/cluster/test_races.py
	$(RUN) KINDLING_CLOCK_EXAMPLES=5000 $(PY) -m pytest tests/common/test_schedule_times.py

ui-at-size: env ## times and pictures of a DAG of 1,211 pipes in the real UI
	$(RUN) $(PY) docs/ui_at_size.py

screenshots: env ## pictures of the samples in the real UI, for the README
	$(RUN) $(PY) docs/screenshots.py

# A release of Airflow needs packages of its time: the lowest one is locked with those that existed
# soon after it. Its provider's pyspark is left out, because drivers use the one in $(VENV).
COMPILE := uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url --no-header

lock: ## compile the lock files (needs uv)
	$(COMPILE) --extra spark --group cluster --group demo --group dev pyproject.toml -o requirements.lock
	$(COMPILE) --resolution lowest-direct --exclude-newer 2026-04-20 \
		--no-emit-package pyspark --no-emit-package py4j \
		--group test pyproject.toml -o requirements-lowest.lock

clean: ## remove the output of the targets
	rm -rf .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
