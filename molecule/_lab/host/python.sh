#!/usr/bin/env bash
# The controller's virtual environment, made from requirements.txt outside the tree and linked as .venv; prints its path.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The newest interpreter that the pinned packages know. A pyenv shim may exist for a version that is not active: only a
# command that runs counts.
find_python() {
    local minor candidate
    for minor in 13 12 11; do
        for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3 python3; do
            if "$candidate" -c "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
                "$candidate" -c 'import sys; print(sys.executable)'
                return
            fi
        done
    done
    die "Python 3.11 to 3.13 with its venv module is needed and none was found; on Debian and Ubuntu: apt-get install python3-venv"
}

make_venv() {
    rm -rf "$venv"
    "$python" -m venv "$venv" || return
    "$venv/bin/pip" install --disable-pip-version-check --progress-bar off -r "$REPO_DIR/requirements.txt" || return
    "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >/dev/null 2>&1 || true
    sync -f "$venv"
    touch "$venv/.complete"
}

python=$(find_python)
version=$("$python" -c 'import platform; print(platform.python_version())')
venv=$CACHE_DIR/venv-$(content_tag "$version" "$python" "$REPO_DIR/requirements.txt")

mkdir -p "$CACHE_DIR"
exec 9>"$CACHE_DIR/venv.lock"
flock 9
# The marker comes last: an interrupted installation is made anew.
[ -e "$venv/.complete" ] || with_progress "Python $version packages" make_venv
ln -sfn "$venv" "$REPO_DIR/.venv"
printf '%s\n' "$venv"
