# Two commands on a fresh machine: `make run` and `make test`. Both set up what they need, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help run check test test-all test-cluster bench reliability results manual clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 12

# Installed again only when what is to be installed changed.
$(VENV)/.installed: setup.cfg pyproject.toml ablate/_version.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

run: $(VENV)/.installed  ## set up, run the demo study, print its table
	$(BIN)/ablate run studies/batchnorm.yaml

check: $(VENV)/.installed  ## format, lint and types
	$(BIN)/ruff format --check ablate tests
	$(BIN)/ruff check ablate tests
	$(BIN)/mypy

test: $(VENV)/.installed  ## the tests
	$(BIN)/python -m pytest -m 'not slow' --numprocesses auto --maxprocesses 4 --dist worksteal

test-all: $(VENV)/.installed  ## the tests, and those that take long or install what they need
	$(BIN)/python -m pytest -m ''

test-cluster: $(VENV)/.installed  ## Slurm, Ray and PostgreSQL, started here, and what dies on them (10 minutes)
	$(BIN)/python -m pytest -m 'cluster' -ra tests/clusters

bench: $(VENV)/.installed  ## speed, as figures beside a plain limit
	$(BIN)/python tests/benchmarks/orchestration.py
	$(BIN)/python tests/benchmarks/dispatching.py
	$(BIN)/python tests/benchmarks/training.py
	$(BIN)/python tests/benchmarks/tuning.py
	$(BIN)/python tests/benchmarks/error_rates.py
	$(BIN)/python tests/benchmarks/parts.py

reliability: $(VENV)/.installed  ## kills, locks, recovery and the world outside, as figures (an hour)
	$(BIN)/python tests/reliability.py
	$(BIN)/python tests/contention.py 300

results: $(VENV)/.installed  ## make the committed tables and figures anew (the course's: DATA=folder of its files)
	for study in batchnorm optimizers skip_connections transfer across parts planted; do \
		$(BIN)/ablate run studies/$$study.yaml > results/$$study.md || exit; done
	echo >> results/planted.md; $(BIN)/ablate table planted --view interactions >> results/planted.md
	$(BIN)/ablate run studies/batchnorm_tuned.yaml > /dev/null
	$(BIN)/ablate tune studies/batchnorm_tuned.yaml --workers 1 > results/batchnorm_tuned.md
	$(BIN)/ablate plot batchnorm_tuned --figure tuning --columns 2 -o results/batchnorm_tuned/tuning.svg
	for figure in effects learning_curves; do \
		$(BIN)/ablate plot batchnorm --figure $$figure --columns 2 -o results/batchnorm/$$figure.svg || exit; done
	$(BIN)/ablate plot parts --figure depth --columns 2 -o results/parts/depth.svg
	$(BIN)/ablate plot across --figure settings --columns 2 -o results/across/settings.svg
	test -z "$(DATA)" || $(BIN)/ablate run studies/course_cifar10_subset.yaml --set data.root=$(DATA) \
		> results/course_cifar10_subset.md

manual: $(VENV)/.installed  ## write every key of the study file into the manual's page anew, from the forms
	WRITE_MANUAL=1 $(BIN)/python -m pytest tests/terminal/test_manual.py -k has_every_key

clean:           ## remove what the commands above made, except results
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis .benchmarks
