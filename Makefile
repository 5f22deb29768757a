# `make demo` and `make test` need nothing but make and Python 3.11 or newer; everything they install goes to .venv.

# A Python that the pinned versions were tried on, else a newer one; Debian's comes without ensurepip unless asked.
PYTHON ?= $(shell for top in 14 99; do for candidate in python3 python3.13 python3.12 python3.11 python; do \
	"$$candidate" -c "import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, $$top))" 2>/dev/null \
		&& echo "$$candidate" && exit; done; done)
BIN := .venv/bin
READY := .venv/ready
WORKERS ?= 2
PORT ?= 8080
DAGS ?= dags_examples

.PHONY: help demo test airflow lint types tests test-slow test-e2e docs benchmark fleet format clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

demo: $(READY) ## onboard the people of a roster into a local Logto with Airflow, and show what came of it
	@exec $(BIN)/python scripts/demo.py

test: lint types tests ## lint, types and tests: what a change must pass

airflow: $(READY) ## Airflow with its UI, a local Logto and the example DAGs (PORT=8080 DAGS=folder); Ctrl-C ends it all
	@exec $(BIN)/python scripts/standalone.py --port $(PORT) --dags $(DAGS)

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

test-e2e: $(READY) ## `make airflow` as a test: real scheduler, workers, triggerer and REST API
	@$(BIN)/pytest -m e2e

docs: $(READY) ## the documentation as HTML, in docs/_build; warnings are errors
	@AIRFLOW_HOME=$(CURDIR)/docs/_build/airflow $(BIN)/python -m sphinx -q -W --keep-going -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

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
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, with venv and pip; or say make PYTHON=/path/to/python3"; exit 1; }
	@echo "== installing into .venv (a minute or two, once)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --build-constraint constraints.txt \
		--editable ./sandbox --editable '.[parquet,phone,redis,sandbox,zstd]' --group dev
	@touch $@
