# Every target installs what it needs into .venv, once; a second call installs nothing.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# A package index for PyTorch's CPU or CUDA builds, e.g. make TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

.PHONY: demo test test-long check format notebooks docs dist install pins audit

demo: $(INSTALLED)  ## train on scanned digits, evaluate on their test split, report, print what to do next
	@$(BIN)/seewhy demo
	@echo 'In this terminal, before the commands above: source $(BIN)/activate'

# Three workers for two cores: tests that wait for a process leave a core to the others. What is compiled is
# kept whatever the environment says, since every worker and hundreds of processes would compile it again.
test: check  ## all checks and tests, in about ten minutes on two cores
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist worksteal

test-long: $(INSTALLED)  ## the full-size tests
	$(BIN)/python -m pytest -q -m long

check: $(INSTALLED)  ## format, lint, spelling, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Real data, and the name that the notebooks print beside each number.
DATA ?= cifar10
NAME ?= CIFAR-10
PHOTOS ?= photos
PHOTOS_NAME ?= photographs
RUNS ?= runs/notebooks

notebooks: $(INSTALLED)  ## execute the notebooks, e.g. make notebooks DATA=path/to/cifar10 PHOTOS=path/to/photos
	DATA='$(or $(realpath $(DATA)),$(DATA))' NAME='$(NAME)' PHOTOS='$(abspath $(PHOTOS))' \
	  PHOTOS_NAME='$(PHOTOS_NAME)' RUNS='$(abspath $(RUNS))' $(BIN)/python notebooks/run.py

docs: $(INSTALLED)  ## the documentation as a site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo build/site/index.html

dist: $(INSTALLED)  ## the wheel and the source distribution, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

PIN := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header

pins: $(INSTALLED)  ## write the hashes of the pinned versions, after a change of pyproject.toml or constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audit]'
	$(PIN) --no-deps constraints.txt -o constraints-hashed.txt
	$(PIN) --extra registry --extra serve --excludes deploy/not-needed.txt -c constraints.txt pyproject.toml -o deploy/requirements.txt
	echo 'setuptools>=77' | $(PIN) - -o deploy/build.txt

audit: pins  ## hashes in step with the pins, the files in deploy/ and .github/, and known vulnerabilities (asks PyPI)
	git diff --exit-code --stat -- constraints-hashed.txt deploy
	$(BIN)/python -m pytest -q tests/deploy tests/release/test_workflows.py tests/test_floors.py
	@# --strict: a version that PyPI cannot be asked about is a failure, not a pass.
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r constraints-hashed.txt

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SeeWhy needs Python 3.11 or newer; try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# The tests compare networks with timm's. Without its torchvision, which not every PyTorch can load.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps timm
	touch $@
