# numpy without what only its tests, its compilers and type checkers read.
include for_lambda.mk

build-NumpyLayer:
	$(PIP_INSTALL)
	cd "$(PYTHON_DIR)/numpy" && rm -rf f2py/src _pyinstaller _core/include _core/lib random/lib \
		_core/_simd.*.so _core/_*_tests.*.so
	$(TRIM)
	$(COMPILE)
