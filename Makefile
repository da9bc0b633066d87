# `make run` and `make test` set up all they need in .venv; what is there already is not done again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
TESTS ?= tests
JOBS ?= 2

export PYTHONPATH := $(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.NOTPARALLEL:
.PHONY: help run test coverage bench docs dist deb lint types check clean

help:
	@echo 'make run    serve on 127.0.0.1:8787 (ARGS=... are for `ccrelay serve`)'
	@echo 'make test   run the tests (TESTS=tests.policy runs a part, JOBS=1 one at a time)'
	@echo 'make coverage  run them and measure what they cover, which takes half as long again'
	@echo 'make bench  compare with nginx (ARGS=--help), some minutes'
	@echo 'make docs   the documentation as a site, in build/site'
	@echo 'make dist   wheel and sdist, in dist'
	@echo 'make deb    the Debian package, in build/deb (its tools: .ci/debian/all installs them)'
	@echo 'make lint   ruff, hadolint  make types  mypy        make check  lint, types and test'
	@echo 'make clean  remove what the others made'
	@echo 'PYTHON=python3.13 chooses the Python that .venv is made with'

run: $(VENV)/.run
	@exec $(BIN)/python -m ccrelay.cli.main serve $(ARGS)

test: $(VENV)/.test $(VENV)/.node
	$(BIN)/python -m twisted.trial --jobs=$(JOBS) $(TESTS)

coverage: $(VENV)/.test $(VENV)/.node
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m twisted.trial $(TESTS)
	@$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

bench: $(VENV)/.bench
	@$(BIN)/python -m bench.compare $(ARGS)

dist: $(VENV)/.made
	@$(BIN)/python -m pip install --quiet build
	@$(BIN)/python -m build --outdir dist .

deb:
	@.ci/debian/build build/deb

docs: $(VENV)/.docs
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/site
	@echo 'The site is in build/site.'

lint: $(VENV)/.lint
	$(BIN)/python -m ruff check .
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Containerfile; \
	    else echo 'hadolint is not made for this machine: Containerfile was not judged'; fi

types: $(VENV)/.lint
	$(BIN)/python -m mypy

check: lint types test

clean:
	rm -rf $(VENV) .bench build dist *.egg-info _trial_temp* .coverage* .mypy_cache .ruff_cache .hypothesis
	rm -rf tests/live/node/node_modules twisted/plugins/dropin.cache
	find ccrelay tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is touched last, so that a set-up that was interrupted is begun again.
$(VENV)/.made:
	@$(PYTHON) -c '' 2> /dev/null || { \
	    echo 'There is no $(PYTHON) here. On Debian and Ubuntu: apt install python3 python3-venv'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "ccrelay needs Python 3.11 or newer, and $(PYTHON) is" \
	        "$$($(PYTHON) -c 'import platform; print(platform.python_version())'):" \
	        'name another one, make PYTHON=python3.11 ...'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || { \
	    echo 'Python cannot make virtual environments here. On Debian and Ubuntu: apt install python3-venv'; \
	    exit 1; }
	@echo 'Setting up .venv; this is done once.'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# compat: the other ways of an editable install hide twisted/plugins from twistd.
PIP := $(BIN)/python -m pip install --quiet --config-settings editable_mode=compat --editable
PACKAGING := setup.cfg setup.py pyproject.toml

$(VENV)/.run: $(VENV)/.made $(PACKAGING)
	@echo 'Installing what ccrelay needs.'
	@$(PIP) .
	@touch $@

$(VENV)/.test: $(VENV)/.made $(PACKAGING)
	@echo 'Installing what the tests need.'
	@$(PIP) '.[test]'
	@touch $@

$(VENV)/.lint: $(VENV)/.made $(PACKAGING)
	@echo 'Installing what lint and types need.'
	@$(PIP) '.[lint,test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.made $(PACKAGING)
	@echo 'Installing what the documentation needs.'
	@$(PIP) '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.made $(PACKAGING) bench/setup-debian.sh
	@sh bench/setup-debian.sh
	@echo 'Installing what the comparison needs.'
	@$(PIP) '.[bench]'
	@touch $@

# Without npm the tests of the JavaScript SDK are skipped, and say so.
$(VENV)/.node: $(VENV)/.made tests/live/setup-node.sh tests/live/node/package.json
	@if sh tests/live/setup-node.sh; then touch $@; fi
