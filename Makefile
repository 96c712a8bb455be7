# The words of this project. `make help` lists them.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
DATA ?= data
V := .venv/bin

.PHONY: help setup demo up down test check bench soak prove docs clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: ## install everything into .venv (idempotent)
	@"$(PYTHON)" tools/setup.py

demo up: export HAVRE_DEBIAN = no

demo: setup ## a whole cloud on this machine, and an app on it
	@$(V)/havre demo --data "$(DATA)"

up: setup ## start Havre on ./data in the background
	@$(V)/havre up --detach --data "$(DATA)"

down: ## stop everything (the data stays)
	@$(V)/havre down --data "$(DATA)"

test: setup ## all tests, the fast ones first
	@$(V)/python -m pytest

check: ## format, lint, types, import contracts
	@"$(PYTHON)" tools/setup.py --console-checks
	@$(V)/ruff format --check -q src tests tools benchmarks
	@$(V)/ruff check -q src tests tools benchmarks
	@$(V)/mypy
	@$(V)/lint-imports
	@cd console && PATH="$$(ls -d ../$(V)/../share/havre/toolchains/node-* | tail -1)/bin:$$PATH" npm run --silent check

bench: setup ## the project's figures, each with its command (ONLY=push,memory for some)
	@$(V)/python benchmarks/run.py $(ONLY)

soak: setup ## longer trials
	@$(V)/python -m pytest -m soak --override-ini addopts= tests

prove: setup ## every example through the command line, and the page that tells of it (long)
	@HAVRE_PROOFS=docs/reference/runtimes.json $(V)/python -m pytest -n 0 -m "soak or not soak" tests/system/test_system_kinds.py
	@$(V)/python tools/runtimes_page.py

docs: setup ## check that the documents' links lead somewhere
	@$(V)/python -m pytest tests/conventions

clean: ## stop, and remove the data and what setup made
	@if [ -x $(V)/havre ]; then $(V)/havre down --data "$(DATA)"; fi
	@rm -rf "$(DATA)" .venv
