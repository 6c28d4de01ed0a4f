# The two commands of the README, and the checks that CI adds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test test-slow lint typecheck docs figures wheel entries clean
.DEFAULT_GOAL := run

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# What a run needs. Made again whenever the dependencies change; touched last, so that an interrupted install starts over.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

# What an extra of pyproject.toml brings beside it: `dev` the rest, for the tests and the types; `docs` is a part of it.
$(VENV)/installed-%: $(VENV)/installed
	$(INSTALL) -e '.[$*]'
	touch $@

# ruff alone, which reads the code and imports nothing.
$(VENV)/installed-lint: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) ruff
	touch $@

run: $(VENV)/installed
	$(BIN)/python generate_tasks.py install
	$(BIN)/parallelbench run $(ARGS)

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto -m "not slow" $(ARGS)

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# With everything installed: what a missing package leaves untyped reads as an error here.
typecheck: $(VENV)/installed-dev
	$(BIN)/mypy

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The README's pictures, of a default run and of its page: docs/assets/default_run.png and report_page.png.
figures: $(VENV)/installed-dev
	$(BIN)/python generate_tasks.py install
	$(BIN)/python tests/make_figures.py $(ARGS)

wheel: $(VENV)/installed-dev
	$(BIN)/python -m build --wheel

# The entry that the leaderboard's Space ships with: the default run.
entries: $(VENV)/installed
	rm -rf build/published
	$(BIN)/parallelbench run --output build/entries
	$(BIN)/parallelbench publish build/entries --to parallelbench/runs --dry-run --output build/published
	rm -f hub_space/entries/*.json
	cp build/published/entries/*.json hub_space/entries/

clean:
	rm -rf build dist results .pytest_cache .mypy_cache .ruff_cache
