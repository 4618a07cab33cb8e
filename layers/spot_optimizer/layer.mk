# The shared package and what it imports.
include for_lambda.mk

build-SpotOptimizerLayer:
	$(PIP_INSTALL)
	cp -R spot_optimizer "$(PYTHON_DIR)/"
	$(TRIM)
	$(COMPILE)
