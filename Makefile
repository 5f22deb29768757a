# `make demo` and `make test` need nothing but make and Python 3.11 or newer; everything they install goes to .venv
# (and, for Airflow 2.11, to .venv-2.11).

# $(call python,13): a Python that is 3.11 to 3.13; Debian's comes without ensurepip unless asked.
python = $(shell for candidate in python3 python3.13 python3.12 python3.11 python; do \
	"$$candidate" -c "import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $(1)))" 2>/dev/null \
		&& echo "$$candidate" && exit; done)
# One that the pinned versions were tried on, else a newer one.
PYTHON ?= $(or $(call python,13),$(call python,99))
# Airflow 2.11 ends at Python 3.12.
PYTHON_AIRFLOW_2 ?= $(call python,12)
BIN := .venv/bin
READY := .venv/ready
READY_AIRFLOW_2 := .venv-2.11/ready
WORKERS ?= 2
PORT ?= 8080
DAGS ?= dags_examples

.PHONY: help demo test airflow lint types tests tests-airflow-2 test-slow test-standalone test-e2e matrix docs screenshots mutants benchmark fleet format clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

demo: $(READY) ## onboard the people of a roster into a local Logto with Airflow, and show what came of it
	@exec $(BIN)/python scripts/demo.py

test: lint types tests $(if $(CI),tests-airflow-2 test-standalone) ## lint, types and tests: what a change must pass; with CI set, also on Airflow 2.11 and end to end

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

# Not what knows no Airflow.
tests-airflow-2: $(READY_AIRFLOW_2) ## the tests that meet Airflow, on the oldest one promised: 2.11
	@echo "== tests on Airflow 2.11"
	@.venv-2.11/bin/pytest -n $(WORKERS) --dist loadgroup --disable-warnings \
		$(foreach path,client contracts docs/test_pages.py management sandbox test_distributions.py,--ignore tests/$(path))

test-slow: $(READY) ## long and random runs
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m slow

test-standalone: $(READY) ## `make airflow` as a test: real scheduler, workers, triggerer and REST API
	@echo "== end to end"
	@$(BIN)/pytest -m e2e tests/e2e/test_standalone.py

test-e2e: $(READY) ## every end-to-end test; both wheels in an empty environment
	@$(BIN)/pytest -m e2e

matrix: $(READY) ## the suite on every Airflow that is promised (ROWS="2.11.2 py3.13": only these); needs uv
	@exec $(BIN)/python scripts/matrix.py --rows $(ROWS)

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
	rm -rf .venv .venv-2.11 .demo .airflow .fleet .matrix docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

# pip is renewed first: installing a dependency group needs pip 25.1 or newer.
# $(call install,FOLDER,PYTHON,CONSTRAINTS,GROUP)
define install
	@test -n "$(2)" || { echo "A Python from 3.11 on is needed, with venv and pip (for Airflow 2.11: 3.11 or 3.12); name it with make PYTHON=... or PYTHON_AIRFLOW_2=..."; exit 1; }
	@echo "== installing into $(1) (a minute or two, once)"
	@test -x $(1)/bin/python || "$(2)" -m venv $(1)
	@$(1)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(1)/bin/python -m pip install -qq --disable-pip-version-check --constraint $(3) --build-constraint constraints.txt \
		--editable ./sandbox --editable '.[parquet,phone,redis,sandbox,zstd]' --group $(4)
	@touch $(1)/ready
endef

$(READY): pyproject.toml sandbox/pyproject.toml constraints.txt
	$(call install,.venv,$(PYTHON),constraints.txt,dev)

$(READY_AIRFLOW_2): pyproject.toml sandbox/pyproject.toml constraints.txt constraints-2.11.txt
	$(call install,.venv-2.11,$(PYTHON_AIRFLOW_2),constraints-2.11.txt,test)
