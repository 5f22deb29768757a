# `make demo` and `make test` need nothing but make and Python 3.11 or newer; everything they install goes to .venv,
# for `make matrix` to .matrix.

# $(call python,13): a Python that is 3.11 to 3.13; Debian's comes without ensurepip unless asked.
python = $(shell for candidate in python3 python3.13 python3.12 python3.11 python; do \
	"$$candidate" -c "import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $(1)))" 2>/dev/null \
		&& echo "$$candidate" && exit; done)
# One that the pinned versions were tried on, else a newer one.
PYTHON ?= $(or $(call python,13),$(call python,99))
BIN := .venv/bin
READY := .venv/ready
WORKERS ?= 2
PORT ?= 8080
DAGS ?= dags_examples

.PHONY: help demo test airflow lint types tests test-slow test-standalone test-e2e matrix matrix-ends docs screenshots mutants benchmark fleet format clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

demo: $(READY) ## onboard the people of a roster into a local Logto with Airflow, and show what came of it
	@exec $(BIN)/python scripts/demo.py

test: lint types tests $(if $(CI),test-standalone matrix-ends) ## lint, types and tests: what a change must pass; with CI set, also end to end and on the lowest and highest Airflow

airflow: $(READY) ## Airflow with its UI, a local Logto and the example DAGs (PORT=8080 DAGS=folder); Ctrl-C ends it all
	@exec $(BIN)/python scripts/standalone.py --port $(PORT) --dags "$(DAGS)"

lint: $(READY) ## ruff: rules and format
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	@echo "== types"
	@$(BIN)/mypy

tests: $(READY) ## the tests alone
	@echo "== tests"
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup --durations 5

test-slow: $(READY) ## long and random runs
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m slow

test-standalone: $(READY) ## `make airflow` as a test: real scheduler, workers, triggerer and REST API
	@echo "== end to end"
	@$(BIN)/pytest -m e2e tests/e2e/test_standalone.py

test-e2e: $(READY) ## every end-to-end test; both wheels in an empty environment
	@$(BIN)/pytest -m e2e

matrix: $(READY) ## the suite on every Airflow that is promised (ROWS="2.11.2 py3.13": only these); an hour and more
	@exec $(BIN)/python scripts/matrix.py --rows $(ROWS)

matrix-ends: $(READY) ## its two ends: the lowest Airflow on the lowest Python, the highest on the highest
	@exec $(BIN)/python scripts/matrix.py --ends

docs: $(READY) ## the documentation as HTML, in docs/_build; warnings are errors
	@AIRFLOW_HOME=$(CURDIR)/docs/_build/airflow $(BIN)/python -m sphinx -q -W --keep-going -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

screenshots: $(READY) ## the pictures of the documentation, by a real browser from a real Airflow; needs Chromium
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --group screenshots
	@exec $(BIN)/python scripts/screenshots.py

mutants: $(READY) ## do the tests notice? a seeded sample of changes to the code, 30 a module (up to an hour)
	@$(BIN)/python scripts/mutants.py

benchmark: $(READY) ## what importing each operator costs
	@$(BIN)/python benchmarks/import_cost.py

fleet: $(READY) ## 200 mapped tasks on two Celery workers: one token (Redis and PostgreSQL must run here)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --upgrade --target .fleet -r benchmarks/fleet/requirements.txt
	@PYTHONPATH=.fleet $(BIN)/python benchmarks/fleet/run.py --executor celery

format: $(READY) ## let ruff put the layout right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove everything that make made
	rm -rf .venv .demo .airflow .fleet .matrix docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

# pip is renewed first: installing a dependency group needs pip 25.1 or newer.
$(READY): pyproject.toml sandbox/pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "A Python from 3.11 on is needed, with venv and pip; name it with make PYTHON=..."; exit 1; }
	@echo "== installing into .venv (a minute or two, once)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --build-constraint constraints.txt \
		--editable ./sandbox --editable '.[parquet,phone,redis,sandbox,zstd]' --group dev
	@touch $(READY)
