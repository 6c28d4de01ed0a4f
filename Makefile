# The two commands of the README, and the checks that CI adds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test test-slow lint typecheck docs wheel clean
.DEFAULT_GOAL := run

# Made again whenever the dependencies change; touched last, so that an interrupted install starts over.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

run: $(VENV)/installed
	$(BIN)/python generate_tasks.py install
	$(BIN)/parallelbench run $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto -m "not slow" $(ARGS)

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/installed
	$(BIN)/mypy

docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

wheel: $(VENV)/installed
	$(BIN)/python -m build --wheel

clean:
	rm -rf build dist results .pytest_cache .mypy_cache .ruff_cache
