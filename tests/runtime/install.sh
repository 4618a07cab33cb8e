#!/bin/sh
# usage: install.sh PYTHON FOLDER. Installs requirements.txt into FOLDER for Python 3.13 on the local
# architecture, with PYTHON's pip; compiles bytecode if Python 3.13 is installed.
set -eu
here=$(dirname "$0")
rm -rf "$2"
mkdir -p "$2"
if [ "$(uname -s)" != Linux ]; then # no emulator, so nothing to run
  exit 0
fi
"$1" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
  --constraint "$here/../../constraints.txt" --requirement "$here/requirements.txt" --target "$2" \
  --only-binary=:all: --implementation cp --python-version 3.13 \
  --platform "manylinux2014_$(uname -m)" --platform "manylinux_2_28_$(uname -m)"
if python=$(sh "$here/../../layers/python313.sh"); then
  "$python" -m compileall -q --invalidation-mode unchecked-hash "$2"
fi
