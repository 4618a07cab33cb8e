# make demo    run the real product in a simulated AWS account; needs no AWS account
# make test    make check, then all tests
# make check   check style, types, template and documentation, and build
# make unit    run the tests of the pure core, in seconds
# make docs    build the documentation site into docs/_build
# make soak    run every EVERY-th single fault (1) and SEEDS random runs (100); takes an hour or more, and goes
#              on from the file RESULTS, if that is given, after it was stopped
# make clean   remove everything that the other targets create
# Requires Python 3.11 or newer with its venv module, and PyPI (or the index that pip is configured to use).

PYTHONS ?= python3.13 python3.12 python3.11 python3
VENV := .venv
SEEDS ?= 100
EVERY ?= 1
BIN := $(VENV)/bin
CHECKOV := $(VENV)/checkov
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
UNIT_TESTS := tests/decision tests/forecast tests/market tests/switching tests/usage
# The layers' makefiles call python3 and need one with pip.
SAM := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam

# $(call quietly,text,command): prints one line, and the command's output only if it fails.
quietly = @printf '%s\n' "$(1)"; log=$(VENV)/$(notdir $@).log; \
	$(2) > $$log 2>&1 || { code=$$?; cat $$log >&2; exit $$code; }

.PHONY: demo test check style types template build docs unit soak clean

demo: $(VENV)/simulator-installed
	@$(BIN)/spot-optimizer simulate

test: check
	@printf '%s\n' "All tests"
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

check: $(VENV)/dev-installed $(CHECKOV)/installed
	@$(MAKE) --no-print-directory --jobs 2 build style types template docs

style: $(VENV)/dev-installed
	$(call quietly,Style (ruff and codespell),$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell)

types: $(VENV)/dev-installed
	$(call quietly,Types (mypy),$(BIN)/mypy)

template: $(VENV)/dev-installed $(CHECKOV)/installed
	$(call quietly,Template (cfn-lint),$(BIN)/cfn-lint template.yaml)
	$(call quietly,Template (sam validate),$(SAM) validate --lint)
	$(call quietly,Template (checkov),$(BIN)/python .ci/check_with_checkov.py $(CHECKOV)/bin/checkov)

build: $(VENV)/dev-installed .aws-sam/runtime/installed
	$(call quietly,Build (sam build),$(SAM) build)
	$(call quietly,Build for x86_64 (sam build),$(SAM) build --parameter-overrides Architecture=x86_64 \
		--build-dir .aws-sam/x86_64/build --cache-dir .aws-sam/x86_64/cache)

# What Lambda's runtime provides besides a function and its layers, for the local architecture.
.aws-sam/runtime/installed: tests/runtime/requirements.txt constraints.txt | $(VENV)/dev-installed
	$(call quietly,Installing what Lambda's runtime provides,sh tests/runtime/install.sh $(BIN)/python .aws-sam/runtime)
	@touch $@

docs: $(VENV)/dev-installed
	$(call quietly,Documentation (sphinx),$(BIN)/sphinx-build --fail-on-warning --keep-going --jobs auto docs docs/_build)

unit: $(VENV)/dev-installed
	@$(BIN)/python -m pytest $(UNIT_TESTS)

soak: $(VENV)/simulator-installed
	@$(BIN)/spot-optimizer soak --seeds $(SEEDS) --every $(EVERY) $(if $(RESULTS),--results $(RESULTS))

clean:
	rm -rf $(VENV) .aws-sam build docs/_build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/simulator-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(call quietly,Installing the simulator's requirements,$(PIP_INSTALL) --editable '.[simulator]')
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || { printf '%s\n' \
		"LightGBM needs the system's libgomp: apt-get install libgomp1, or dnf install libgomp" >&2; exit 1; }
	@touch $@

$(VENV)/dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(call quietly,Installing the requirements of the product and its tests,$(PIP_INSTALL) --editable '.[dev]')
	@touch $@ $(VENV)/simulator-installed

# In its own environment, because its requirements contradict the product's.
$(CHECKOV)/installed: .ci/checkov-constraints.txt | $(BIN)/python
	@$(BIN)/python -m venv --clear $(CHECKOV)
	$(call quietly,Installing checkov,$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .ci/checkov-constraints.txt checkov)
	@touch $@

$(BIN)/python:
	@python=; without_venv=; \
	for candidate in $(PYTHONS); do \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$$candidate; break; fi; \
		without_venv=$${without_venv:-$$candidate}; \
	done; \
	if [ -z "$$python" ] && [ -n "$$without_venv" ]; then \
		version=$$("$$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$without_venv cannot create a virtual environment: its venv module is missing." >&2; \
		echo "On Debian and Ubuntu install it with: apt-get install python$$version-venv" >&2; \
		exit 1; \
	fi; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is required; none of these qualifies: $(PYTHONS)" >&2; \
		exit 1; \
	fi; \
	echo "Creating a virtual environment with $$("$$python" --version) in $(VENV)"; \
	"$$python" -m venv --clear $(VENV)
