# Everything runs in an environment of its own, $(VENV). It is made at the first call and brought up to date
# whenever pyproject.toml or constraints.txt changed. Another interpreter: make PYTHON=/path/to/python3.12 test

VENV    ?= .venv
PYTHON  ?=
WORKERS ?= 2
ARGS    ?=

BIN  := $(VENV)/bin
DEMO := $(VENV)/.installed-demo
ALL  := $(VENV)/.installed-all

# The real Feast, whose dependencies and ours do not go together: a minute, and 600 MB.
FEAST_VENV ?= .venv-feast
FEAST      := $(FEAST_VENV)/.installed
PIP  := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

.PHONY: help demo test feast bench lint types format clean

help:
	@echo "make demo    features, a training set, a model and online answers from real flights"
	@echo "make test    all tests; one file: make test ARGS=tests/test_time.py"
	@echo "make feast   the real Feast in $(FEAST_VENV), for the tests that ask by its client; make test makes it too"
	@echo "make bench   measure against hand-written peers; options in ARGS"
	@echo "make lint    style, types and the direction of imports"
	@echo "make types   types alone"
	@echo "make format  bring the source into its form"
	@echo "make clean   remove caches and built files; $(VENV) stays"

demo: $(DEMO)
	$(BIN)/gnomon demo $(ARGS)

test: $(ALL) $(FEAST)
	GNOMON_FEAST_VENV=$(abspath $(FEAST_VENV)) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

feast: $(FEAST)

bench: $(ALL)
	$(BIN)/python -m bench $(ARGS)

lint: $(ALL) types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(ALL)
	$(BIN)/mypy

format: $(ALL)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis bench/.data
	find . -path './$(VENV)' -prune -o -path './$(FEAST_VENV)' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Only what a first look needs, so that it comes soon.
$(DEMO): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[demo]'
	@touch $@

$(ALL): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[all,test,bench,dev]'
	@touch $@

$(FEAST): tests/feast/constraints.txt | $(BIN)/python
	$(BIN)/python -m venv $(FEAST_VENV)
	$(FEAST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< feast
	@touch $@

$(BIN)/python:
	@for python in $(CANDIDATES); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "making $(VENV) with $$("$$python" --version)"; \
	        "$$python" -m venv $(VENV) && exit; \
	        rm -rf $(VENV); exit 1; \
	    fi; \
	done; \
	echo "Gnomon needs Python 3.11 or newer, and none of these is: $(CANDIDATES)" >&2; \
	echo "hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	exit 1
