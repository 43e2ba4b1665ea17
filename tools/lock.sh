#!/usr/bin/env bash
# Print constraints for `pip install --constraint`: every package of the given environment, exactly.
# Local version labels (torch 2.13.0+cpu) are dropped, so that the same file serves CPU and CUDA builds.
set -euo pipefail

cat <<'HEADER'
# The versions that gaitfarm was last tested with. Written by `make lock`; do not edit.
# Only what pyproject.toml asks for is installed; this file says in which version.
HEADER
# CUDA's own packages belong to one build of torch and are pinned by it.
"${1:?usage: tools/lock.sh PYTHON}" -m pip freeze --disable-pip-version-check --exclude-editable \
  --exclude gaitfarm --exclude pip --exclude setuptools --exclude wheel |
  sed -E 's/\+[A-Za-z0-9.]+$//' | grep -vE '^(nvidia-|triton)' | grep '=='
