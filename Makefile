# make demo    the whole chain on embedded photographs, in a few minutes
# make test    the tests
# make check   format, lint, types
# make bundles all files in exports/ anew from their weights, and their evidence;
#              PHOTOS=DIR where the photographs of their recipes lie elsewhere
# make gpu     tests, evidence, benchmarks and a training on CUDA, within 45 minutes on one card;
#              PHOTOS=DIR as above; DRY=1 the same on the CPU, all of it reduced
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format docs bundles gpu clean

demo: .venv/ready
	$(BIN)/edgesr demo

test: .venv/ready
	$(BIN)/pytest

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/ready
	$(BIN)/python docs/recipe_reference.py
	$(BIN)/python docs/gpu_tables.py

bundles: .venv/ready
	$(BIN)/edgesr export --again $(if $(PHOTOS),--set data.photos=$(PHOTOS))
	$(BIN)/edgesr verify --again

gpu: .venv/ready
	$(BIN)/python benchmarks/gpu.py $(if $(DRY),--dry) $(if $(PHOTOS),--photos $(PHOTOS))

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "edgesr needs Python 3.11 or newer"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,gpu,dev]'
	touch $@

clean:
	rm -rf .venv exports/demo-* .pytest_cache .mypy_cache .ruff_cache
