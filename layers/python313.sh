#!/bin/sh
# Prints the path of a Python 3.13, the version of the functions' runtime; fails if there is none.
pyenv=$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")
for candidate in python3.13 "$pyenv"/versions/3.13*/bin/python3.13 \
  "$HOME"/.local/share/uv/python/cpython-3.13*/bin/python3.13; do
  # pyenv has shims for versions that are not selected; they fail.
  "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || continue
  exec "$candidate" -c 'import sys; print(sys.executable)'
done
exit 1
