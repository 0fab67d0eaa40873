# `make demo` shows the main job, `make test` runs everything; both set up what they need. docs/quickstart.md goes on.
MAKEFLAGS += --no-print-directory
bin := .venv/bin

.PHONY: help demo test setup check lint types contracts quick functional browser clients images docker slow clean

help:
	@echo 'make demo   build the wheels of examples/requirements.txt, serve them, install them where there is no compiler'
	@echo 'make test   everything: linters, types, import contracts, quick tests, then the tests in Docker'
	@echo 'make check  the same without Docker: two minutes'
	@echo 'make clients  old and new pip, uv, Poetry and PDM in every situation: some minutes, and they are downloaded'
	@echo 'make slow   what make test leaves out: wheels for forky, free-threaded and (through QEMU) aarch64 targets; an hour'
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
	@echo 'make slow tests what this left out: forky, free-threaded Python, aarch64 through QEMU'

check: lint types contracts quick functional browser

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
	$(bin)/python -m pytest -q -m 'not docker and not clients and not browser' tests/functional tests/integration tests/clients

# The server's pages in Debian's Chromium: a test that skipped itself for want of it would hide that nobody looked.
browser:
	PYTHONPATH=.ci $(bin)/python -m pytest -q -p no_skips -m browser tests/functional

# The whole client matrix: clients of other years come from the configured index, and stay in .pytest_cache.
clients:
	$(bin)/python -m pytest -q -m clients tests/clients

images:
	$(bin)/farm images build

# A test that skips itself for want of an engine or an image would hide that nothing was tested.
docker: images
	PYTHONPATH=.ci $(bin)/python -m pytest -p no_skips -m 'docker and not slow'

# Images that the configured targets do not need are made from nothing here, one of them under QEMU.
slow: setup
	@images/setup-engine --emulation
	PYTHONPATH=.ci $(bin)/python -m pytest -p no_skips -m slow

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
