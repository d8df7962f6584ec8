# Everything is run from here; every target sets up what it needs.
VENV := .venv
PY := $(VENV)/bin/python
STROP := $(VENV)/bin/strop
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

$(VENV)/.installed: pyproject.toml
	@test -x $(PY) || { echo "creating $(VENV) …"; python3 -m venv $(VENV); }
	@echo "installing Strop and what it is built with …"
	@$(PY) -m pip install --quiet --upgrade "pip>=25.1"
	@$(PY) -m pip install --quiet -e ".[images,text,parquet]" --group dev
	@touch $@

install: $(VENV)/.installed ## .venv with everything that runs here

demo: install ## optimize a real keyword-spotting model on real data, under three minutes
	@$(STROP) optimize src/strop/demo/kws.onnx --config src/strop/demo/strop.toml --allow-provisional

test: install ## unit, contract, docs and the shorter end-to-end tests, under five minutes
	$(PY) -m pytest -m "not slow"

test-all: install ## everything, also what takes minutes
	$(PY) -m pytest

lint: install ## style, types, layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: install ## the measurements behind docs/benchmarks.md; the better part of an hour
	$(PY) -m benchmarks

docs: install ## generate docs/reference from the real command line
	$(PY) docs/generate.py

.PHONY: help install demo test test-all lint bench docs
