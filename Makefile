# Everything starts here: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests start hundreds of processes: each would compile all of PyTorch's Python again where this variable is set.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup browser webkit demo test test-slow faults fuzz long-run coverage lint format types types-page bench reference docs
.PHONY: docs-serve pictures build sbom audit lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv and install Tandem with pinned dependencies

$(STAMP): pyproject.toml constraints.txt hashes.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Tandem needs Python 3.11 or newer: make PYTHON=python3.12"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes --requirement hashes.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-build-isolation --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

browser:  ## install Chromium and Firefox, by which the tests look at pages, where one is missing (Debian and Ubuntu, as root)
	@any() { for name; do command -v $$name && return; done; false; }; \
	any chromium chromium-browser google-chrome google-chrome-stable chrome || missing=chromium; \
	any firefox-esr firefox || missing="$$missing firefox-esr"; \
	test -z "$$missing" || { apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing > /dev/null; }

webkit:  ## install WebKitGTK and its driver, by which a slow test looks at the page to draw on (Debian and Ubuntu)
	@sudo=$$(test "$$(id -u)" = 0 || echo sudo); $$sudo apt-get update -qq && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	webkit2gtk-driver xvfb dbus > /dev/null

demo: setup  ## draw a dataset, train small models on it, sample and measure it; writes runs/demo/index.html
	$(BIN)/tandem demo --out runs/demo

test: setup  ## run the test suite, in as many processes as there are cores
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder -m 'not slow and not gpu'

test-slow: setup  ## run the tests that take minutes, and those that need a GPU where there is one
	$(BIN)/python -m pytest -m 'slow or gpu'

faults: setup  ## go on with the campaign of faults for MINUTES=30, of KINDS=…; writes runs/faults
	$(BIN)/python -m tools.faults --minutes $(or $(MINUTES),30) $(if $(KINDS),--kinds $(KINDS))

fuzz: setup  ## go on with damaged files for every reader, or for READERS=…, for MINUTES=30; writes runs/faults
	$(BIN)/python -m tools.faults.fuzz --minutes $(or $(MINUTES),30) $(if $(READERS),--readers $(READERS))
	TANDEM_FUZZ_CASES=$(or $(CASES),2000) $(BIN)/python -m pytest tests/unit/test_serving_hostile.py

long-run: setup  ## train every method for STEPS=20000 and print what its process holds; writes runs/long
	$(BIN)/python -m tools.faults.long_run --steps $(or $(STEPS),20000)

coverage: setup  ## say which lines and branches the test suite runs; TESTS='tests/unit -k parse' for a part of it
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -m 'not slow and not gpu' $(TESTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage html --quiet
	$(BIN)/python -m coverage report

lint: setup  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup  ## fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup  ## check types
	$(BIN)/pyright

types-page:  ## check the types of the page to draw on; needs Node.js
	npx --yes --package typescript@7.0.2 tsc --project tools/tsconfig.json

bench: setup  ## measure the training step, its memory, and sampling on this machine
	$(BIN)/tandem bench train
	$(BIN)/tandem bench sample

reference: setup  ## hold the training step and the metrics against the reference numbers in tests/fixtures
	$(BIN)/python tools/check_reference.py tests/fixtures/reference/*/
	$(BIN)/python tools/check_metrics.py tests/fixtures/metrics --only resize paired sets features

docs: setup  ## build the documents as a site, strictly; writes site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: setup  ## show the site at http://127.0.0.1:8000 while you write
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

pictures: setup  ## remake the pictures of the README from runs/demo and, with CYCLEGAN=RUN, from a CycleGAN
	$(BIN)/python tools/readme_pictures.py $(if $(CYCLEGAN),--cyclegan $(CYCLEGAN))

build: setup  ## make the sdist and the wheel in dist/, the same bytes on every machine
	$(BIN)/python tools/build.py dist

sbom: setup  ## list what .venv holds, with versions and licences, as CycloneDX; writes dist/sbom.json
	$(PYTHON) -m venv $(VENV)/supply
	$(VENV)/supply/bin/python -m pip install --quiet --requirement tools/supply.txt
	mkdir -p dist
	$(VENV)/supply/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json $(BIN)/python

audit: setup  ## ask the database of PyPI for known vulnerabilities of what constraints.txt pins; needs the network
	$(PYTHON) -m venv $(VENV)/supply
	$(VENV)/supply/bin/python -m pip install --quiet --requirement tools/supply.txt
	$(VENV)/supply/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

lock:  ## write hashes.txt for what pyproject.toml and constraints.txt say now; needs the network
	$(PYTHON) -m venv $(VENV)/supply
	$(VENV)/supply/bin/python -m pip install --quiet --requirement tools/supply.txt
	$(VENV)/supply/bin/python tools/lock.py

clean:  ## remove the environment and caches (runs and datasets stay)
	rm -rf $(VENV) .pytest_cache .ruff_cache .coverage .coverage.* htmlcov build dist site src/*.egg-info
