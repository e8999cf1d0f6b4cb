# make install    install everything in a virtual environment, .venv
# make sweep      run the first sweep: 40 trials on the digits, and a float16 artifact of the winner
# make test       run all tests
# make lint       check style, types, security rules, and that installed packages fit together
# make lock       make the locks of the images' packages in deploy/requirements
# make audit      ask PyPI for known vulnerabilities of the packages; without a network, say so and check nothing
# make docs       build the documentation in build/site
# make bench      run the benchmarks in bench/

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
FAIL = { echo "searchlab: $(1)" >&2; exit 1; }

.PHONY: install sweep test lint lock audit docs bench clean
.NOTPARALLEL:

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) >/dev/null || $(call FAIL,Python 3.11 or newer is needed and $(PYTHON) was not found; install it or call make PYTHON=/path/to/python.)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || $(call FAIL,Python 3.11 or newer is needed and $(PYTHON) is $$($(PYTHON) -V); call make PYTHON=/path/to/a/newer/python.)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call FAIL,$(PYTHON) cannot create virtual environments; on Debian and Ubuntu: apt install python3-venv.)
	@echo "installing into .venv: about a minute and 1.3 GB"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

sweep: $(INSTALLED)
	@$(BIN)/searchlab run search_spaces/digits_mlp.py

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow" -n 2
	$(BIN)/python -m pytest -m slow -n 3 --dist loadfile  # one of the three waits for a cluster most of the time

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pip check
	$(BIN)/python deploy/lock.py --check

lock: $(INSTALLED)
	@test -x build/lock/bin/uv || $(BIN)/python -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@PATH="$(CURDIR)/build/lock/bin:$$PATH" $(BIN)/python deploy/lock.py

audit: $(INSTALLED)
	@.ci/audit

docs: $(INSTALLED)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # hides an advertisement of the theme

bench: $(INSTALLED)
	$(BIN)/python -m bench.fused
	$(BIN)/python -m bench.overhead
	$(BIN)/python -m bench.pruning
	$(BIN)/python -m bench.plan
	$(BIN)/python -m bench.fuse_quality
	$(BIN)/python -m bench.samplers
	$(BIN)/python -m bench.winner
	$(BIN)/python -m bench.sweep_peers
	$(BIN)/python -m bench.grid_168
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.simulate
	-$(BIN)/python -m bench.cluster
	-$(BIN)/python -m bench.artifact
	-$(BIN)/python -m bench.mlp_torch
	-$(BIN)/python -m bench.lm_torch
	-$(BIN)/python -m bench.gpu
	$(BIN)/python -m bench.ptb_sweep
	$(BIN)/python -m bench.reference

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
