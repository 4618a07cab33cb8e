# Shared by the layers' makefiles: builds for python3.13 on Amazon Linux 2023 and ARCH (aarch64 or x86_64)
# with any local Python. Each layer's folder has a link to this file, because `sam build` copies and compares
# only that folder.
PIP ?= python3 -m pip
PYTHON_DIR := $(ARTIFACTS_DIR)/python
FOR_LAMBDA := --quiet --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
	--python-version 3.13 --platform manylinux2014_$(ARCH) --platform manylinux_2_28_$(ARCH)
PIP_INSTALL = mkdir -p "$(PYTHON_DIR)" && \
	$(PIP) install $(FOR_LAMBDA) --requirement requirements.txt --no-compile --target "$(PYTHON_DIR)"

# Deletes scripts with the path of the local Python, tests, and what only compilers and type checkers read.
TRIM = rm -rf "$(PYTHON_DIR)/bin" && \
	find "$(PYTHON_DIR)" \( -name tests -o -name __pycache__ \) -type d -prune -exec rm -rf {} + && \
	find "$(PYTHON_DIR)" \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.h' \) \
		-type f -delete

# Lambda's /opt is read-only: without bytecode every cold start compiles all that it imports, and takes
# about twice as long. Bytecode is of one version of Python; without that version, the layers have none.
# "unchecked": packed files keep no modification times (PEP 552).
PYTHON313 := $(shell sh python313.sh)
COMPILE = $(if $(PYTHON313),"$(PYTHON313)" -m compileall -q -j 0 --invalidation-mode unchecked-hash \
	-s "$(ARTIFACTS_DIR)" -p /opt "$(PYTHON_DIR)",@:)
