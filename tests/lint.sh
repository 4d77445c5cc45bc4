#!/usr/bin/env bash
# Every static check. Prints one line per check; the output of one that fails.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export PATH="$PWD/.venv/bin:$PATH"
results=$(mktemp -d)
checks=()

# Each has a process group: Ctrl-C does not reach what a script runs in the background.
end() {
  local group
  for group in $(jobs -p); do kill -TERM -- "-$group" 2>/dev/null; done
  rm -rf "$results"
}
trap end EXIT

# All at once: mypy and ansible-lint take most of the time, and one processor each.
check() {
  local name=$1
  shift
  checks+=("$name")
  set -m
  {
    set +m
    local began=$SECONDS
    "$@" >"$results/$name.output" 2>&1
    echo "$? $((SECONDS - began))" >"$results/$name"
  } &
  set +m
}

report() {
  local failed=0 name code seconds
  wait
  for name in "${checks[@]}"; do
    read -r code seconds <"$results/$name"
    if [ "$code" -eq 0 ]; then
      printf 'ok      %-14s %3d s\n' "$name" "$seconds"
    else
      printf 'FAILED  %-14s %3d s\n' "$name" "$seconds"
      cat "$results/$name.output"
      failed=1
    fi
  done
  return "$failed"
}

shell_files() { git ls-files --cached --others --exclude-standard '*.sh' .ci/run | sort -u; }

check ruff ruff check .
check ruff-format ruff format --check .
check mypy mypy
check yamllint yamllint --strict .
mapfile -t scripts < <(shell_files)
check shellcheck shellcheck "${scripts[@]}"
# Node-side code runs where the node's Python is old. The modules left out run on the controller.
mapfile -t node_side < <(git ls-files --cached --others --exclude-standard 'library/*.py' 'module_utils/unshim_node/*.py' 'roles/*/files/*.py' | grep -v -e node_drain -e node_canary)
check vermin vermin --target=3.6- --no-tips --violations "${node_side[@]}"
check ansible-lint ansible-lint --offline
# Documentation is what ansible-doc renders, for every module there is.
mapfile -t modules < <(basename --suffix=.py library/*.py)
check ansible-doc ansible-doc --module-path library --type module "${modules[@]}"
report
