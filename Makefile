# Everything is run from here; every target sets up what it needs.
VENV := .venv
PY := $(VENV)/bin/python
STROP := $(VENV)/bin/strop
DEMO_RECIPES := gguf-q8-0 gguf-q4-k-m gguf-q4-0-im openvino-int8 openvino-int4-sym genai-int8 genai-int4 mlx-4bit-g64
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

$(VENV)/.installed: pyproject.toml
	@test -x $(PY) || { echo "creating $(VENV) …"; python3 -m venv $(VENV); }
	@echo "installing Strop and what it is built with …"
	@$(PY) -m pip install --quiet --upgrade "pip>=25.1"
	@$(PY) -m pip install --quiet -e ".[images,text,parquet]" --group dev
	@touch $@

install: $(VENV)/.installed ## .venv, and the frameworks' own environments: everything that runs here
	@$(STROP) backends install openvino olive export

demo: install ## optimize a real keyword-spotting model across frameworks on real data, under three minutes
	@$(STROP) optimize src/strop/demo/kws.onnx --config src/strop/demo/strop.toml --budget 160s

demo-llm: install ## the same for a small language model, across four runtimes, under six minutes
	@$(STROP) backends install transformers llamacpp onnxruntime-genai mlx
	@$(STROP) optimize src/strop/demo/stories --config src/strop/demo/stories/strop.toml --budget 300s \
		$(foreach name,llamacpp openvino onnxruntime-genai mlx,--backend $(name)) $(foreach name,$(DEMO_RECIPES),--recipe $(name))

test: install ## unit, contract, docs and the shorter end-to-end tests, under five minutes
	$(PY) -m pytest -m "not slow"

test-llm: install ## language models in four runtimes, for real; some minutes
	@$(STROP) backends install transformers llamacpp onnxruntime-genai mlx
	$(PY) -m pytest $(foreach kind,smollm qwen3,"tests/e2e/test_architectures.py::test_an_architecture_through_all_frameworks[$(kind)]") \
		tests/e2e/test_genai.py::test_what_a_bundle_holds_is_enough_to_write \
		tests/e2e/test_language_models.py::test_mlx_for_a_mac_that_is_elsewhere \
		tests/e2e/test_recorded_language.py tests/e2e/test_language_inputs.py tests/e2e/test_batches.py::test_a_text_is_answered_as_it_is_alone

test-all: install ## everything, also what takes minutes
	$(PY) -m pytest

lint: install ## style, types, layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: install ## the measurements behind docs/benchmarks.md; the better part of an hour
	$(PY) -m benchmarks

browser: install ## open strop-out/latest/report.html in Chromium; needs node, npm and Chromium
	cd tests/browser && npm install --no-fund --no-audit --silent
	node tests/browser/check.mjs strop-out/latest/report.html tests/browser/screenshots

docs: install ## generate docs/reference from the real command line
	$(PY) docs/generate.py

.PHONY: help install demo demo-llm test test-llm test-all lint bench browser docs
