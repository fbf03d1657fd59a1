# The two commands are `make demo` and `make test`; each sets up what it needs. `make help` lists the rest.
# Python 3.11 or newer, git and make are all that has to be on the machine; uv is used when it is there.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
AUDIT := .venv-audit/bin
UV := $(shell command -v uv 2>/dev/null)

.PHONY: help setup setup-bench demo test test-long check bench lock setup-audit audit sbom infra-plan infra-map docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup:  ## create or refresh .venv, when requirements.txt is not what it was made from
	@cmp -s requirements.txt .venv/requirements.txt || { \
	  set -e; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'; \
	  echo "Installing into .venv (about a minute with pip, seconds with uv) …"; \
	  if [ -n "$(UV)" ]; then \
	    "$(UV)" venv -q --clear --seed --python $(PYTHON) .venv && "$(UV)" pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt; \
	  else \
	    $(PYTHON) -m venv --clear .venv && $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt; \
	  fi; \
	  cp requirements.txt .venv/requirements.txt; }

setup-bench: setup  ## add what only the benchmarks need: Prophet, and a FastAPI server to compare with
	@cmp -s requirements-bench.txt .venv/requirements-bench.txt || { \
	  set -e; \
	  echo "Installing the yardsticks of the benchmarks …"; \
	  if [ -n "$(UV)" ]; then \
	    "$(UV)" pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-bench.txt; \
	  else \
	    $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.txt; \
	  fi; \
	  cp requirements-bench.txt .venv/requirements-bench.txt; }

setup-audit:
	@cmp -s requirements-audit.txt .venv-audit/requirements-audit.txt || { \
	  set -e; \
	  echo "Installing pip-audit and cyclonedx-py into .venv-audit …"; \
	  if [ -n "$(UV)" ]; then \
	    "$(UV)" venv -q --clear --python $(PYTHON) .venv-audit && "$(UV)" pip install -q --python $(AUDIT)/python --require-hashes -r requirements-audit.txt; \
	  else \
	    $(PYTHON) -m venv --clear .venv-audit && $(AUDIT)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-audit.txt; \
	  fi; \
	  cp requirements-audit.txt .venv-audit/requirements-audit.txt; }

audit: setup sbom  ## is a vulnerability known of what is pinned? (docs/supply-chain.md)
	@$(BIN)/python -m supply_chain.audit

sbom: setup-audit  ## write what is pinned to build/sbom.json (CycloneDX), always the same bytes
	@mkdir -p build
	@$(AUDIT)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-file build/sbom.json requirements.txt

demo: setup  ## push, click, merge: the whole story on this machine, to a live prediction (MODEL=name: of one model)
	@$(BIN)/python -m common.local.demo $(MODEL)

check: setup  ## lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: check  ## lint, types and all tests but the long ones
	@$(BIN)/python -m pytest -n 4 --dist worksteal -m "not long"

test-long: setup  ## the tests that take long, or show at more places what a test beside them shows at one
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m long

bench: setup-bench  ## the figures of benchmarks/, each beside its yardstick in the same run
	@$(BIN)/python -m benchmarks

LOCK := uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header
lock: setup  ## compile the requirements from pyproject.toml (needs uv)
	@$(LOCK) --extra dev --output-file requirements.txt pyproject.toml
	@printf 'prophet\nfastapi\nuvicorn\n' | $(LOCK) -c requirements.txt --output-file requirements-bench.txt -
	@printf 'pip-audit\ncyclonedx-bom\n' | $(LOCK) --output-file requirements-audit.txt -
	@# Without NumPy and pandas: in a training container it is installed beside those of the image, which stay what they are.
	@# pip asks no hash of what is installed already, and one of everything else; it refuses where the image's were too old.
	@printf 'prophet\n' | $(LOCK) -c requirements-bench.txt --no-emit-package numpy --no-emit-package pandas \
	  --output-file requirements-prophet.txt -

ACCOUNTS ?= one-account
STACK := infra/examples/$(ACCOUNTS)
infra-plan:  ## what Terraform would change in AWS (ACCOUNTS=one-account or four-accounts; docs/infra.md)
	@terraform -chdir=$(STACK) init -input=false -backend-config=backend.hcl > /dev/null
	@terraform -chdir=$(STACK) plan -input=false

infra-map: setup  ## write environments.json from what Terraform has made (ACCOUNTS as above)
	@map=$$(terraform -chdir=$(STACK) output -raw environments) && printf '%s' "$$map" | $(BIN)/python -m json.tool > environments.json

docs: setup  ## regenerate the pages that are made from the code
	@$(BIN)/python -m common.local.operations_doc
	@$(BIN)/python -m tests.permissions.page

clean:  ## remove everything that make or the tools made
	rm -rf .venv .venv-audit .local-aws build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
