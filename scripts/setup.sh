#!/bin/sh
# Makes .venv and installs Densify with its development tools. Safe to call again: it does nothing
# while pyproject.toml and constraints.txt are as they were at the last complete installation.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "densify needs Python 3.11 or newer; name one with PYTHON=/path/to/python3.11 make setup" >&2
    exit 2
}
stamp=.venv/.densify-setup
want=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
# uv is 5 to 10 times faster than pip; where it cannot be had, pip does the same work.
if .venv/bin/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null; then
    # uv does not read pip's own setting for extra wheel folders.
    UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}" \
        .venv/bin/uv pip install --quiet --python .venv/bin/python -c constraints.txt -e '.[dev]'
else
    .venv/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
fi
echo "$want" >"$stamp"
echo "densify is installed in .venv (activate it with: . .venv/bin/activate)"
