# `make demo` and `make test` each start from a bare machine with Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RELEASE := .venv/.release
CHECKS := test dist
PACKAGES := css_gen models benchmark

.PHONY: setup demo test test-all test-faults fuzz lint unit boards wheel dist release site docs docs-links render-bench clean

setup: $(READY)

demo: $(READY)
	$(BIN)/css-gen render --n 20000
	$(BIN)/css-gen show data/css --out data/css-sheet.png
	$(BIN)/tirg-bench run --all --preset quick --jobs 2 --out runs/leaderboards --runs runs/demo

# The three that use one core each run two at a time, then the tests use both.
test: $(READY)
	$(MAKE) -j2 lint boards wheel
	$(MAKE) unit

test-all: lint $(READY)
	$(BIN)/python -m pytest -q -m "slow or not slow"

# Kill -9 at some 300 random moments, and every other fault of docs/reliability.md.
test-faults: $(READY)
	FAULTS=100 $(BIN)/python -m pytest -q tests/faults -m "slow or not slow"

# Every parser on 2,000 inputs changed at random, then, with `pip install -e '.[fuzz]'`, a search for 20 s each.
fuzz: $(READY)
	FUZZ=2000 $(BIN)/python -m pytest -q tests/faults/test_fuzz.py
	! $(BIN)/python -c "import atheris" 2> /dev/null || $(BIN)/python tests/faults/test_fuzz.py 20

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One worker per core. Each starts with half of the tests in their order, so most files stay with one worker, which
# makes their fixtures once; the worker that is done first takes over half of what the other has left.
unit: $(READY)
	$(BIN)/python -m pytest -q -n auto --dist worksteal

# Check every committed record (ranks, recipe, dataset, code, copies of others), and every table against the records.
boards: $(READY)
	$(BIN)/tirg-bench verify --quick

# Build the wheel, check that it holds every file of the packages, and run its scripts from another folder. Its
# dependencies are lent by .venv (PYTHONPATH), because a second copy of torch would cost gigabytes; the project itself
# is not among them, it is linked.
wheel: $(READY)
	rm -rf build dist .wheel *.egg-info
	mkdir dist
	$(BIN)/python -m build --wheel --outdir dist . > dist/log 2>&1 || { cat dist/log; exit 1; }
	! grep -A2 "absent from the" dist/log
	find $(PACKAGES) -type f ! -path '*/__pycache__/*' | LC_ALL=C sort > dist/wanted
	$(BIN)/python -m zipfile -l dist/*.whl | sed -n 's/^\([^ ]*\) .*/\1/p' | grep -v -e dist-info -e '^File$$' | LC_ALL=C sort | diff dist/wanted -
	$(PYTHON) -m venv .wheel
	.wheel/bin/pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	cd /tmp && site=$$(ls -d $(CURDIR)/.venv/lib/python3*/site-packages) && \
		for script in css-gen tirg-bench; do PYTHONPATH=$$site $(CURDIR)/.wheel/bin/$$script --help > /dev/null || exit 1; done
	rm -rf build .wheel *.egg-info
	@echo "the wheel holds every file of the packages, and its scripts run"

$(RELEASE): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[release]'
	touch $@

# Build what is published, the wheel from the sdist, and check both: metadata, the page that PyPI shows, stray files.
dist: $(RELEASE)
	rm -rf build dist *.egg-info
	$(BIN)/python -m build --outdir dist . > build.log 2>&1 || { cat build.log; exit 1; }
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	rm -rf build build.log *.egg-info

# Write the version into pyproject.toml, CITATION.cff and CHANGELOG.md, commit, tag, and build. Nothing is published.
release: $(RELEASE)
	@echo '$(VERSION)' | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' || { echo "say which version: make release VERSION=1.2.3"; exit 2; }
	@git diff --quiet HEAD || { echo "there are changes that are not committed: commit or stash them first"; exit 2; }
	$(if $(CHECKS),$(MAKE) $(CHECKS))
	$(BIN)/bump-my-version bump --new-version $(VERSION)
	$(MAKE) dist
	@echo "look at it: git show; publish it: git push --follow-tags && $(BIN)/twine upload dist/*"

# The pages of the leaderboards, in leaderboards/site. They are built from the records alone; git ignores them.
site: $(READY)
	$(BIN)/tirg-bench leaderboard --html

# The documentation, in docs/_build, with what `make site` built as boards/. A warning is an error. No network is used.
docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -b html . docs/_build
	@echo "the documentation is docs/_build/index.html"

# Ask every other site that the documentation links to. A test checks the links within it.
docs-links: $(READY)
	$(BIN)/python -m sphinx -q -c docs -b linkcheck . docs/_build/links

render-bench: $(READY)
	$(BIN)/python speed/render.py

# Remove what the other targets made, compiled kernels included. Datasets, runs and records stay.
clean:
	rm -rf .venv .wheel build dist *.egg-info leaderboards/site docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
