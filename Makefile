# make up      install, start Redis, backend, worker and dashboard, show URL and token
# make demo    install, run the whole pipeline on the demo model, print the comparison
# make test    install what the tests need, run them
# See README.md for the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where pip looks for torch first, e.g. the index of CPU builds that PyTorch's download page names.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# Three lanes that take about the same time on two cores; what starts many processes is not in the third, whose
# processes are not forked from a warm one (tests/warm_python).
SERVICE_TESTS := tests/service tests/faults tests/security tests/dashboard tests/backend/test_settings.py
BROWSER_TESTS := tests/worker tests/benchmarks tests/homes tests/translation tests/architecture tests/memgen/parallel tests/memgen/stages/test_parallel.py tests/memgen/test_cli.py tests/browser
LANES := test-service test-browser test-rest
# They start some hundred processes, and without bytecode each compiles the project anew.
$(LANES): export PYTHONDONTWRITEBYTECODE :=

.PHONY: install up down demo check test test-all $(LANES) faults slurm bench screenshots clean
.DELETE_ON_ERROR:

install: $(VENV)/.dev  ## everything, the tests' browser included

up: $(VENV)/.app  ## install and start; Ctrl-C stops the services, trainers go on
	@exec $(BIN)/python -m backend up

down: $(VENV)/.app  ## stop services and trainers (save and stop)
	@$(BIN)/python -m backend down

demo: $(VENV)/.app  ## the whole chain on the demo model, from nothing to the comparison
	@$(BIN)/python -m backend demo

check: $(VENV)/.dev  ## style, types, import walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev  ## the tests, without the long ones
	@$(MAKE) --no-print-directory --jobs=3 WHICH='-m "not long"' $(LANES)

test-all: $(VENV)/.dev  ## all tests
	@$(MAKE) --no-print-directory --jobs=3 $(LANES)

test-service: $(VENV)/.dev
	$(BIN)/python -m pytest $(WHICH) $(SERVICE_TESTS)

test-browser: $(VENV)/.dev
	$(BIN)/python -m pytest $(WHICH) $(BROWSER_TESTS)

test-rest: $(VENV)/.dev
	$(BIN)/python -m pytest $(WHICH) $(SERVICE_TESTS:%=--ignore=%) $(BROWSER_TESTS:%=--ignore=%)

faults: $(VENV)/.dev  ## kill, freeze and fill up everything, and see that no run is lost (docs/faults.md)
	$(BIN)/python -m tests.faults

slurm:  ## install the Slurm that tests/cluster runs against (docs/cluster.md)
	tests/cluster/install-slurm

bench: $(VENV)/.dev  ## cost beside the plain way, as ratios (docs/performance.md); nothing else should run
	$(BIN)/python -m benchmarks.core --json $(or $(MEMGEN_HOME),data)/bench-core.json

screenshots: $(VENV)/.dev  ## take the pictures of docs/guide.md anew
	$(BIN)/python -m tests.browser.screenshots

clean:  ## remove the environment; data/ stays
	rm -rf $(VENV)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"MemGen Studio needs Python 3.11 to 3.13, and {sys.executable} is {v[0]}.{v[1]}. Choose another: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.app: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing MemGen Studio into $(VENV) (the first time takes a few minutes)"
	$(INSTALL) --editable '.[service,worker]'
	@touch $@

$(VENV)/.dev: $(VENV)/.app tests/browser/install-browser
	$(INSTALL) --editable '.[service,worker,dev]'
	tests/browser/install-browser $(BIN)/python
	@touch $@
