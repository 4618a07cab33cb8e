# LightGBM and what it imports beside numpy.
include for_lambda.mk

# LightGBM wants the system's libgomp.so.1, which Lambda's runtime has not; scikit-learn's wheel carries
# one. Lambda looks for libraries in a layer's lib/ (Lambda developer guide, "Packaging layers").
#
# Of scipy it imports the class of sparse matrices only, to tell them from what it is given; the rest,
# with a second OpenBLAS, is four fifths of what pip brings.
build-ForecastingLayer:
	$(PIP_INSTALL)
	cd "$(PYTHON_DIR)" && rm -rf scipy.libs scipy/sparse/csgraph scipy/sparse/linalg && \
		find scipy -mindepth 1 -maxdepth 1 -type d ! -name _lib ! -name sparse -exec rm -rf {} +
	mkdir -p "$(ARTIFACTS_DIR)/lib"
	$(PIP) download $(FOR_LAMBDA) --requirement libgomp.txt --dest wheels
	python3 -m zipfile -e wheels/scikit_learn-*.whl unpacked
	cp unpacked/scikit_learn.libs/libgomp-*.so* "$(ARTIFACTS_DIR)/lib/libgomp.so.1"
	rm -rf wheels unpacked
	$(TRIM)
	$(COMPILE)
