# The two commands that matter: `make demo` and `make test`. `make help` lists all.

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.installed
DEMO := $(abspath demo)
JOBS ?= 2
# Tests of one file stay together, as they share what is costly to make.
TOGETHER := -n $(JOBS) --dist loadfile
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)
DEBIAN := relion xvfb xauth libgl1 libgl1-mesa-dri libegl1 libdbus-1-3 fonts-dejavu-core \
	libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 \
	libxcb-render-util0 libxcb-shape0 libxcb-xkb1 chromium chromium-driver

.PHONY: help install demo test test-slow lint system-deps topaz

help:
	@echo "make demo         environment, install, pick the bundled micrograph into demo/"
	@echo "make test         environment, install, run the quick test suite"
	@echo "make test-slow    run the tests that take minutes"
	@echo "make lint         ruff and mypy"
	@echo "make system-deps  Debian/Ubuntu packages for the RELION, napari and page tests"
	@echo "make topaz        Topaz in an environment of its own, for the tests that call it"
	@echo "Options: PYTHON=python3.12 (to build the environment with), VENV=.venv (where)"
	@echo "         JOBS=2 (processes that test at a time)"

install: $(STAMP)

# Runs again only when the dependencies change.
$(STAMP): pyproject.toml configs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("cryomae needs Python 3.11 or newer; try: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c configs/constraints.txt torch torchvision -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	@cd cryomae/data && $(BIN)/cryomae pick demo_micrograph.mrc --output $(DEMO) --overwrite \
		--diameter $$($(BIN)/python -c "import yaml; print(yaml.safe_load(open('demo.yaml'))['diameter'])")
	@echo
	@echo "picture   $(DEMO)/previews/demo_micrograph.png"
	@echo "STAR      $(DEMO)/picks/demo_micrograph_cryomae.star"
	@echo "summary   $(DEMO)/summary.html"

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" $(TOGETHER)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(TOGETHER)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

system-deps:
	$(SUDO) apt-get update
	$(SUDO) apt-get install -y --no-install-recommends $(DEBIAN)

# Topaz is GPL: only ever called as a program, and never in the environment of cryomae.
topaz: .venv-topaz/.installed

.venv-topaz/.installed:
	test -x .venv-topaz/bin/python || $(PYTHON) -m venv .venv-topaz
	.venv-topaz/bin/python -m pip install -c configs/constraints.txt torch torchvision topaz-em==0.3.20
	@touch $@
