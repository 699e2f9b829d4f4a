# The entry to everything. `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=600 --nbval-sanitize-with tests/nbval.cfg
PYTEST := $(BIN)/python -m pytest

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

# Sleeping threads, not spinning ones: two workers share two cores.
export OMP_WAIT_POLICY ?= PASSIVE

# Made again when it is older than what it was made from.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev]" -c constraints.txt
	@touch $@

setup: $(READY) ## make .venv with everything the course and its tests need

course: $(READY) ## run every lesson, or those of NB="00 01"; JOBS= at a time, else as many as there are cores
	$(BIN)/clt run $(addprefix --jobs=,$(JOBS)) $(NB)

test: test-units test-notebooks ## unit tests, then every notebook against its stored outputs (nbval)

test-units: $(READY) ## the tests of the package, the tools, the slides and the site
	OMP_NUM_THREADS=1 $(PYTEST) tests -n 2 --dist loadgroup

test-notebooks: $(READY) ## every notebook against its stored outputs
	$(PYTEST) notebooks $(NBVAL) -n 2 --dist loadfile

OLD_PROCESSOR = OMP_NUM_THREADS=1 ATEN_CPU_CAPABILITY=default $(PYTEST)
NEWER_PROCESSOR = OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=avx2 $(PYTEST)

test-processors: $(READY) ## every notebook as on older and newer processors, with one thread and two
	$(OLD_PROCESSOR) notebooks $(NBVAL) -n 2 --dist loadfile
	$(NEWER_PROCESSOR) notebooks $(NBVAL) -n 2 --dist loadfile

test-variants: $(READY) ## every notebook as on one of the two: lessons with an even number on the old, the others on the newer
	$(OLD_PROCESSOR) $(wildcard notebooks/?[02468]_*.ipynb) $(NBVAL) -n 2 --dist loadfile
	$(NEWER_PROCESSOR) $(wildcard notebooks/?[13579]_*.ipynb) $(NBVAL) -n 2 --dist loadfile

# The lesson that NB= means, a notebook or a number; without NB=, the first one.
LESSON = $(firstword $(sort $(wildcard $(NB) notebooks/$(NB)*.ipynb)))

lab: $(READY) ## open the course in JupyterLab, on the first lesson (or NB=), on this machine only, with a token
	$(BIN)/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(LESSON)

lint: $(READY) ## ruff, and that the package's modules import in one direction only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

format: $(READY) ## write the code as ruff formats it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

record: $(READY) ## make the records of the lessons of NB="04 05": an hour or so each, with CLT_DATA set
	$(BIN)/clt record $(addprefix --jobs=,$(JOBS)) $(NB)

execute: $(READY) ## re-execute the lessons of NB= (default: all) in place, before a commit
	$(BIN)/python tools/execute.py $(or $(NB),$(sort $(wildcard notebooks/*.ipynb)))
	$(BIN)/python tools/present.py $(sort $(wildcard notebooks/*.ipynb))

badges: $(READY) ## write badges, launch links and setup cells, from [tool.clt] in pyproject.toml
	$(BIN)/python tools/badges.py

offline: $(READY) ## run every lesson with the network cut
	$(BIN)/python tools/offline.py $(BIN)/clt run

# In environments of their own. TORCH= names a version of torch where the wanted one has no build for this machine.
colab: $(READY) ## run the lessons of NB= (default: all) as on Colab, in build/colab
	$(BIN)/python tools/colab.py $(NB) $(addprefix --torch=,$(TORCH))

versions: $(READY) ## test with other versions: SET=oldest, newest or pinned, in build/versions
	$(BIN)/python tools/versions.py $(SET) $(addprefix --torch=,$(TORCH))

handouts: $(READY) ## copy the notebooks without their solutions to build/handouts
	$(BIN)/jupyter nbconvert --to notebook --output-dir build/handouts --log-level WARN \
	  --TagRemovePreprocessor.enabled=True --TagRemovePreprocessor.remove_cell_tags=solution notebooks/*.ipynb

# Marp, as the lock file pins it; Node 18 or newer has to be there.
MARP := slides/node_modules/.package-lock.json
$(MARP): slides/package.json slides/package-lock.json
	cd slides && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

slides: $(READY) $(MARP) ## build/slides from the decks and the records of the lessons
	$(BIN)/python tools/slides.py

slides-setup: $(READY) $(MARP) ## what the slides and their browser tests need beside Node and Chromium
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev,slides]" -c constraints.txt

site: $(READY) ## build/site, the course as web pages, with slides and results if they are built; installs the extra site
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev,site]" -c constraints.txt
	$(BIN)/python tools/site.py

# Once installed it needs no network. A copy is presented, so that a lecture leaves the lessons as they are.
PRESENT := $(VENV)/.present
$(PRESENT): $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev,present]" -c constraints.txt
	@touch $@

present: $(PRESENT) ## show the lesson of NB= (default: the first) as slides that run, on this machine only
	mkdir -p build/present
	cp -r slides/live/. $(LESSON) build/present
	JUPYTERLAB_SETTINGS_DIR="$(CURDIR)/build/present/settings" $(BIN)/jupyter lab --ip=127.0.0.1 \
	  --LabApp.default_url=/rise/$(notdir $(LESSON)) $(OPTIONS) build/present

bench: $(READY) ## time and memory of the losses beside their peers; installs the extra bench
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev,bench]" -c constraints.txt
	$(BIN)/python benchmarks/losses.py

checksums: $(READY) ## write data/checksums.sha256 after a change to data/
	$(BIN)/python -m clt.data

clean: ## remove everything that was built, .venv included
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

.PHONY: help setup course test test-units test-notebooks test-processors test-variants lab lint format record execute badges offline colab versions handouts slides slides-setup site present bench checksums clean
