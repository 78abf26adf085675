# `make demo` and `make test` each start from a bare machine with Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-all lint unit boards wheel render-bench clean

demo: $(READY)
	$(BIN)/css-gen render --n 20000
	$(BIN)/css-gen show data/css --out data/css-sheet.png
	$(BIN)/tirg-bench run --all --preset quick --out runs/leaderboards

test: lint unit boards wheel

test-all: lint $(READY)
	$(BIN)/python -m pytest -q -m "slow or not slow"

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A worker a core; a file of tests stays with one, because its fixtures are made once.
unit: $(READY)
	$(BIN)/python -m pytest -q -n auto --dist loadfile

# Every landed record agrees with its ranks, every table with the records.
boards: $(READY)
	$(BIN)/tirg-bench verify --quick

# The wheel goes into an environment of its own and is run from another folder. Its dependencies are lent by .venv
# (PYTHONPATH), because a second copy of torch would cost gigabytes; the project itself is not there, it is linked.
wheel: $(READY)
	rm -rf build dist .wheel
	$(BIN)/python -m build --wheel --outdir dist . > /dev/null
	$(PYTHON) -m venv .wheel
	.wheel/bin/pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	cd /tmp && site=$$(ls -d $(CURDIR)/.venv/lib/python3*/site-packages) && \
		for script in css-gen tirg-bench; do PYTHONPATH=$$site $(CURDIR)/.wheel/bin/$$script --help > /dev/null || exit 1; done
	rm -rf build .wheel
	@echo "the wheel's scripts run"

render-bench: $(READY)
	$(BIN)/python speed/render.py

clean:
	rm -rf .venv .wheel build dist css_gen/__pycache__
