#!/usr/bin/env bash
# Makes the virtual environment DIR from the locked requirements in REQS, installing Python's venv
# module first where Debian left it out. Safe to run again: it only brings the environment up to date.
set -euo pipefail
dir=$1 reqs=$2
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  command -v apt-get >/dev/null || { echo "Python 3.11 or newer is needed: install python3 and run this again." >&2; exit 1; }
  say "Installing Python (Debian packages)"
  apt-get update -q && apt-get install -qy --no-install-recommends python3 python3-venv
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "Python 3.11 or newer is needed, this system has $(python3 -V)." >&2; exit 1; }
fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  say "Installing Python's venv module (Debian package python3-venv)"
  apt-get update -q && apt-get install -qy --no-install-recommends python3-venv
fi
say "Installing the locked Python packages into $dir (about half a minute the first time)"
[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
[ -x "$dir/bin/uv" ] || "$dir/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$reqs/bootstrap.txt"
"$dir/bin/uv" pip sync -q --compile-bytecode --python "$dir/bin/python" --require-hashes "$reqs/dev.txt"
