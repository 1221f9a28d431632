# Everything a person or CI runs. The work is in tools/: this file only names it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup inference train test test-slurm bench fidelity sim2real wheel lint format sanitize clean

PYTHON_IN_VENV := .venv/bin/python
FIDELITY := outputs/fidelity/fidelity

help: ## Show this list
	@echo "make TARGET, where TARGET is one of:"
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 12
	@echo "Variables: ARGS=\"...\" (Hydra overrides for train, pytest arguments for test), PYTHON=, CXX=, MVFSTRL_SHARED="

setup: ## Create .venv with pinned packages and the native extension
	@tools/setup.sh train

inference: ## Build and install what runs exported policies, without Python; ARGS="--prefix DIR --torch PATH"
	@./setup.sh --inference $(ARGS)

train: setup ## Set up, then train and test an agent; ARGS="env=umts total_steps=100000" override what they name
	$(PYTHON_IN_VENV) run.py agent=impala env=lte $(ARGS)

test: ## Set up, then run all native and Python tests
	@tools/setup.sh test
	@tools/test.sh $(ARGS)

test-slurm: ## Set up, then run the tests that need SLURM beside a throw-away cluster of two virtual nodes
	@tools/setup.sh test
	@tools/slurm/test.sh $(ARGS)

bench: ## Set up, then run the benchmarks; figures go to bench.json
	@tools/setup.sh bench
	$(PYTHON_IN_VENV) tools/bench.py $(ARGS)

fidelity: setup ## Play the real runs of ../shared/truth in virtual time and compare; results go to outputs/fidelity
	$(PYTHON_IN_VENV) -m pantheon.fidelity $${MVFSTRL_SHARED:-../shared}/truth/mahimahi_mvfst.csv --json $(FIDELITY).json \
		--figure $(FIDELITY).png --markdown $(FIDELITY).md $(ARGS)

sim2real: setup ## Play a policy and schemes over real QUIC and in virtual time; ARGS="--checkpoint FILE --runs 5"
	$(PYTHON_IN_VENV) -m pantheon.sim2real $(or $(ARGS),--checkpoint policies/lte)

wheel: ## Build the wheel into dist/ and try it in a clean environment
	@tools/setup.sh train
	@tools/wheel.sh

lint: ## Check style, formatting and types
	@tools/setup.sh test
	@tools/lint.sh

format: ## Rewrite the sources in the project's format
	@tools/setup.sh test
	@tools/lint.sh --fix

sanitize: ## Run the native tests under the address, undefined-behaviour and thread sanitizers
	@tools/setup.sh test
	@tools/sanitize.sh

clean: ## Remove what was built (keeps .venv and the outputs of runs)
	rm -rf build dist bench.json .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f .venv/.mvfstrl/native
