#!/usr/bin/env bash
# Run the node-side unit tests on the oldest Python >= 3.6 of this machine (PATH, then pyenv), and let it compile and
# import everything that is shipped to nodes. Standard library only, as on a node.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version_of() { "$1" -c 'import sys; print("%d%02d" % sys.version_info[:2])' 2>/dev/null || true; }

oldest=""
oldest_version=999
candidates() {
  local minor
  for minor in 6 7 8 9 10 11 12 13 14; do
    command -v "python3.$minor" || true
    ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python 2>/dev/null || true
  done
  command -v python3 || true
}
while read -r candidate; do
  version=$(version_of "$candidate")
  if [ -n "$version" ] && [ "$version" -ge 306 ] && [ "$version" -lt "$oldest_version" ]; then
    oldest=$candidate
    oldest_version=$version
  fi
done < <(candidates)
if [ -z "$oldest" ]; then
  echo "No Python 3.6 or newer on PATH or in pyenv." >&2
  exit 1
fi
echo "Node-side code on $("$oldest" --version 2>&1)"
[ "$oldest_version" = 306 ] || echo "Note: nodes may have Python 3.6, which is not on this machine."

cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
export PYTHONPATH="$PWD/module_utils:$PWD/tests/unit/node" PYTHONDONTWRITEBYTECODE=1

# Modules need ansible-core to be imported; that they parse, as this Python reads them, is checked here.
"$oldest" - <<'PYTHON'
import glob
import importlib
import os

for path in sorted(glob.glob("library/*.py") + glob.glob("module_utils/unshim_node/*.py")):
    with open(path, "rb") as stream:
        source = stream.read()
    if b"runs on the controller" in source[:2000]:
        continue
    compile(source, path, "exec")
    if "module_utils" in path:
        importlib.import_module("unshim_node." + os.path.basename(path)[:-3])
PYTHON
"$oldest" -m unittest discover -s tests/unit/node -p 'test_node_*.py' "$@"
exec "$oldest" -m unittest discover -s tests/unit/node_docker -p 'test_node_*.py' "$@"
