# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
# Every line and branch of these is tested.
COVERED := 'airflow_provider_vidu/exceptions.py,airflow_provider_vidu/protocol/*,airflow_provider_vidu/durable/*,airflow_provider_vidu/batch/*'
COMPILE := $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links
# The parts of Airflow that the reference imports write their configuration somewhere.
SPHINX := AIRFLOW_HOME=$(CURDIR)/docs/_build/airflow $(RUN) -m sphinx -q -W --keep-going
AZURITE := node_modules/azurite/package.json
BROWSER := apt-get install --no-install-recommends chromium fonts-wqy-microhei

.DEFAULT_GOAL := help
.PHONY: help demo up down test test-system test-long screenshots browser azurite check dist docs links translations bench mutants \
	constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Turn an image into a video in a real Airflow; VIDU_API_KEY selects the real API
	@$(RUN) -m dev.demo

up: $(READY) ## Start the demo's servers and leave them running
	@$(RUN) -m dev.demo up

down: $(READY) ## Stop the servers that "make up" started
	@$(RUN) -m dev.demo down

test: $(READY) azurite ## Run the tests, including one path through a real Airflow
	$(RUN) -m pytest -m "not system and not long" -n 2 --dist loadscope --cov=airflow_provider_vidu --cov-branch --cov-report=
	$(RUN) -m coverage report --skip-covered --fail-under=95
	$(RUN) -m coverage report --skip-covered --fail-under=100 --include=$(COVERED)
	$(RUN) -m pytest -m smoke tests/system

test-system: $(READY) browser ## Run the other tests that need a real Airflow
	$(RUN) -m pytest -m "system and not smoke and not long" --durations=20 tests/system

test-long: $(READY) ## Run the tests that take too long to run at every change, such as kills in batches of a thousand
	$(RUN) -m pytest -m long tests

screenshots: $(READY) browser ## Take the screenshots of Airflow's UI in docs/images again
	$(RUN) -m pytest tests/system/screenshots.py

# The pages in Chinese need the font.
browser:
	@command -v chromium >/dev/null && fc-list :lang=zh | grep -q . || { \
		echo "Chromium and a font with Chinese letters must be installed. On Debian: $(BROWSER)" >&2; exit 1; }

# Microsoft's emulator of Azure Blob Storage. Without it the tests of that store are skipped.
azurite: $(if $(shell command -v npm),$(AZURITE))

$(AZURITE):
	npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix . azurite@3.35.0

check: $(READY) ## Check format, lint, types and GitHub's workflows
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy --strict --explicit-package-bases airflow_provider_vidu dev tests/typing
	$(VENV)/bin/zizmor --quiet --offline --persona pedantic .github

dist: $(READY) ## Build the wheel and the sdist, and run an example with the wheel in an environment of its own
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(RUN) -c constraints.txt -e '.[emulator,dev,release]'
	rm -rf dist
	$(RUN) -m build --no-isolation
	$(RUN) -m twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist/*.whl
	$(RUN) -m pytest tests/distribution.py

docs: $(READY) ## Build the documentation's site in site/; fails if a link or a translation is missing or outdated
	for language in en zh_CN; do \
		$(SPHINX) -D language=$$language -d docs/_build/doctrees/$$language docs site/$$language || exit; done
	cp docs/_templates/start.html site/index.html
	AIRFLOW_HOME=$(CURDIR)/docs/_build/airflow $(RUN) -m dev.translations --check

links: $(READY) ## Check the links of the documentation to other sites
	$(SPHINX) -b linkcheck -d docs/_build/doctrees/en docs docs/_build/links

translations: $(READY) ## Add new and changed texts to the Chinese catalogues of the documentation
	AIRFLOW_HOME=$(CURDIR)/docs/_build/airflow $(RUN) -m dev.translations

bench: $(READY) ## Measure the cost of waiting; rewrites the tables of docs/performance.md (half an hour)
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(RUN) -c constraints.txt -e '.[emulator,dev,bench]'
	$(RUN) -m benchmarks $(BENCH)

mutants: $(READY) ## Look for code that no test guards: protocol, durable and batch, or those in MUTANTS (an hour)
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(RUN) -c constraints.txt -e '.[emulator,dev,mutants]'
	for group in $(or $(MUTANTS),protocol durable batch); do $(RUN) -m dev.mutants $$group || exit; done

matrix: $(READY) ## Test on every supported Airflow, or those in VERSIONS (hours); rewrites the READMEs' table
	$(RUN) -m dev.matrix $(VERSIONS)

constraints: $(VENV)/bin/uv ## Rewrite constraints.txt and constraints/*.txt with the newest versions
	$(COMPILE) --all-extras pyproject.toml --output-file constraints.txt
	for limits in constraints/*.in; do \
		$(COMPILE) --extra dev --extra emulator -c $$limits pyproject.toml --output-file $${limits%.in}.txt || exit; done

clean: ## Stop the servers; remove the environment and the caches, but no video
	@if [ -f .bed/up.json ] && [ -x $(RUN) ]; then $(RUN) -m dev.demo down; fi
	rm -rf $(VENV) .matrix .bed mutants site docs/_build docs/locale/*/*/*.mo .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Compile the bytecode once here, because Airflow starts half a dozen processes that all import the same modules.
$(READY): $(VENV)/bin/uv pyproject.toml constraints.txt airflow_provider_vidu/__init__.py
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(RUN) -c constraints.txt -e '.[emulator,dev,docs]'
	@touch $@

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "PYTHON must be Python 3.11 or newer, got $(PYTHON). Run make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "Setting up $(VENV). This happens once and takes a few minutes …"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check uv
	@touch $@
