# `make demo` shows the main job, `make test` runs everything; both set up what they need. docs/quickstart.md goes on.
MAKEFLAGS += --no-print-directory
bin := .venv/bin

.PHONY: help demo test setup check lint types contracts quick functional clients images docker clean

help:
	@echo 'make demo   build the wheels of examples/requirements.txt, serve them, install them where there is no compiler'
	@echo 'make test   everything: linters, types, import contracts, quick tests, then the tests in Docker'
	@echo 'make check  the same without Docker: two minutes'
	@echo 'make clients  old and new pip, uv, Poetry and PDM in every situation: some minutes, and they are downloaded'
	@echo 'make setup  only .venv and the Docker engine'
	@echo 'make clean  remove .venv and caches; the store (.farm) stays'

demo:
	@.ci/setup
	@PATH="$(CURDIR)/$(bin):$$PATH" examples/demo

setup:
	@.ci/setup --dev

test: setup
	@$(MAKE) check
	@$(MAKE) clients
	@$(MAKE) docker

check: lint types contracts quick functional

lint:
	$(bin)/ruff check farm tests benchmarks .ci examples

types:
	$(bin)/mypy

contracts:
	$(bin)/lint-imports

quick:
	$(bin)/python -m pytest -q tests/unit tests/property

# Real child processes on loopback: the command line, uv, pip, a publisher that is killed. Neither Docker nor network.
functional:
	$(bin)/python -m pytest -q -m 'not docker and not clients' tests/functional tests/integration tests/clients

# The whole client matrix: clients of other years come from the configured index, and stay in .pytest_cache.
clients:
	$(bin)/python -m pytest -q -m clients tests/clients

images:
	$(bin)/farm images build

# A test that skips itself for want of an engine or an image would hide that nothing was tested.
docker: images
	PYTHONPATH=.ci $(bin)/python -m pytest -p no_skips -m docker

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
