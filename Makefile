# `make demo` and `make test` need only python3 (3.11 or newer) with venv, and make: each sets up .venv first.
# PyTorch comes from pip's index, in the build that suits the machine there. For a CPU build on Linux:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make test

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
WHEEL_VENV := build/wheel-venv

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help demo test slow faults check format locale keys screenshots bench-app constraints wheel check-wheel clean

help:
	@echo "make demo         fine-tune the built-in model on the bundled poems, before and after (minutes)"
	@echo "make test         the tests, but for the slow ones"
	@echo "make slow         the slow tests"
	@echo "make faults       kills, signals, cut connections, full disks (minutes); FAULTS=short: a part of it"
	@echo "make check        lint, format, types, import contracts, message catalogues, docs/keys.md"
	@echo "make format       lint fixes and format"
	@echo "make locale       bring the message catalogues up to date"
	@echo "make keys         write docs/keys.md from the app's bindings"
	@echo "make screenshots  take the pictures in docs/images (minutes); ARGS=\"data train\": some of them"
	@echo "make bench-app    how quick the app is, against its goals (minutes)"
	@echo "make constraints  pin what is installed now"
	@echo "make wheel        build dist/*.whl; make check-wheel also tries it out"
	@echo "make clean        remove what was built, .venv too"

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "poemtui needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	@echo "Setting up .venv (PyTorch is large; this takes some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,dev]'
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/poemcore demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

# Exit code 5: no test is marked slow.
slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow $(ARGS) || test $$? -eq 5

# Real processes, signals, an sshd and small disks of its own; root can do all of it. The last line has the figures.
faults: export FAULTS := $(FAULTS)
faults: $(INSTALLED)
	@$(BIN)/python -m pytest tests/faults $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python tools/catalogue.py --check
	$(BIN)/python tools/keys_page.py --check
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

locale: $(INSTALLED)
	$(BIN)/python tools/catalogue.py

keys: $(INSTALLED)
	$(BIN)/python tools/keys_page.py

screenshots: $(INSTALLED)
	$(BIN)/python tools/screenshots.py $(ARGS)

# Fails where a goal is missed.
bench-app: $(INSTALLED)
	@$(BIN)/python bench/app.py $(ARGS)

constraints: $(INSTALLED)
	@echo '# The exact versions that the tests run with; `make` installs these. Written by `make constraints`.' > constraints.txt
	@$(BIN)/python -m pip freeze --all --exclude-editable --exclude pip --exclude poemtui | sed 's/^\(torch==[0-9.]*\)+.*/\1/' >> constraints.txt
	@touch $(INSTALLED)

wheel: $(INSTALLED)
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist

# A fresh venv that holds our wheel alone and borrows the installed dependencies, tried out from another directory.
check-wheel: wheel
	@rm -rf $(WHEEL_VENV)
	@$(BIN)/python -m venv --without-pip $(WHEEL_VENV)
	@$(BIN)/python -m pip --python $(WHEEL_VENV)/bin/python install --quiet --no-deps dist/*.whl
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(WHEEL_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
	cd / && "$(CURDIR)/$(WHEEL_VENV)/bin/python" -P "$(CURDIR)/tools/try_wheel.py"

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find core tui tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} +
