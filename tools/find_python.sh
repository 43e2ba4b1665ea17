#!/usr/bin/env bash
# Print a Python that gaitfarm can live in: 3.11 first (every dependency has a wheel for it),
# then 3.12 and 3.13 (pybullet is compiled there: a C++ compiler is needed, and a few minutes).
# PYTHON=/path/to/python overrides.
set -euo pipefail

fits='
import sys
import ensurepip, venv  # Debian keeps these in python3-venv
raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
'

candidates=(python3.11 python3 python3.12 python3.13)
[[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
for python in "${candidates[@]}"; do
  # A pyenv shim may be on the PATH and yet not run: only running it tells.
  if "$python" -c "$fits" >/dev/null 2>&1; then
    "$python" -c 'import sys; print(sys.executable)'
    exit 0
  fi
done

[[ -z ${PYTHON:-} ]] || echo "error: PYTHON=$PYTHON is no Python 3.11 to 3.13 with the venv module" >&2
cat >&2 <<'MESSAGE'
error: no Python 3.11 to 3.13 with the venv module was found.
  Debian 12:     sudo apt-get install python3 python3-venv python3-pip
  Ubuntu 24.04:  sudo apt-get install python3 python3-venv python3-dev g++
  elsewhere:     make PYTHON=/path/to/python3.11 ...
MESSAGE
exit 2
