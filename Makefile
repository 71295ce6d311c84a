# Two commands do everything: `make explore` and `make test`.
VENV ?= .venv
PYTHON ?= python3
OUT ?= runs/first
TORCH ?= torch==2.13.0
# The CPU build comes from PyTorch's own index, unless pip has been given a folder of wheels.
TORCH_INDEX ?= $(if $(PIP_FIND_LINKS),,--index-url https://download.pytorch.org/whl/cpu)
BIN := $(VENV)/bin
SOURCES := $(wildcard src/wireloom/native/*.?pp) CMakeLists.txt pyproject.toml

.PHONY: help explore test lint check bench needs clean

help:
	@echo "make explore   set up, train 1,007 networks on 53 wirings, show what came of it"
	@echo "make test      set up, run every test"
	@echo "make lint      ruff and pyright"
	@echo "make bench     speed, as ratios against the plain alternatives"

explore: $(BIN)/.installed
	$(BIN)/wireloom explore --out $(OUT)

test: $(BIN)/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(BIN)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(BIN)/.installed-dev
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) build

# What the build needs of the system; whatever is missing is named.
needs:
	@missing=""; \
	for tool in $(PYTHON) g++; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if command -v $(PYTHON) >/dev/null; then \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || missing="$$missing python3.11-or-newer"; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	  $(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || missing="$$missing python3-dev"; \
	fi; \
	if [ -n "$$missing" ]; then \
	  echo "missing:$$missing"; \
	  echo "on Debian: apt-get install python3 python3-dev python3-venv g++ make"; exit 1; \
	fi

$(BIN)/.torch: | needs
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH) $(TORCH_INDEX) || $(BIN)/python -m pip install --quiet $(TORCH)
	@touch $@

$(BIN)/.installed: $(BIN)/.torch $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.torch $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(BIN)/.installed $@
