#!/usr/bin/env bash
# Every test, in the order that fails soonest. `make test` sets up, then calls this; --full takes many more cases.
# Leaves nothing of the lab behind, whatever happens; images and builds stay cached for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
rm -rf build/junit build/story build/carry_over build/rolling build/faults build/faults.json build/faults.md
mkdir -p build/junit
timings=()
if [ "${1:-}" = --full ]; then export UNSHIM_FULL=1; fi

part() {
  local name=$1 began=$SECONDS
  shift
  printf '\n=== %s ===\n' "$name"
  if ! "$@"; then
    printf '\nFAILED: %s after %d s\n' "$name" "$((SECONDS - began))" >&2
    return 1
  fi
  timings+=("$(printf '%-34s %4d s' "$name" "$((SECONDS - began))")")
}

leave_nothing_behind() {
  local code=$?
  trap - EXIT
  make --no-print-directory lab-down || code=1
  if [ "$code" -ne 0 ]; then python tests/count_results.py --failures build/junit || true; fi
  exit "$code"
}

# What is still there after lab-down would be there on a user's machine too.
nothing_is_left() {
  local left
  left=$(docker ps -aq --filter label=unshim.lab; docker volume ls -q --filter label=unshim.lab; docker network ls -q --filter name=unshim-lab)
  if [ -n "$left" ]; then
    printf 'left behind by destroy:\n%s\n' "$left" >&2
    return 1
  fi
}

trap leave_nothing_behind EXIT

part "static checks" bash tests/lint.sh
part "unit tests" pytest -q tests/unit --junitxml=build/junit/unit.xml
part "node-side code on an old Python" bash tests/unit/node/run_on_oldest_python.sh
part "lab images" bash molecule/_lab/images/build.sh bookworm bullseye trixie containerd2 dnf zypper
part "lab archives" bash molecule/_lab/images/archives.sh
volumes=$(docker volume ls -q | sort)
part "molecule: default" molecule test -s default
part "molecule: matrix" molecule test -s matrix
part "molecule: migrate" molecule test -s migrate
part "molecule: carry_over" molecule test -s carry_over
if [ -n "${UNSHIM_FULL:-}" ]; then
  # One lab for both: the faults leave every node on Docker, and the rolling move takes them all.
  part "molecule: faults" molecule test -s faults --destroy=never
  part "molecule: rolling" molecule test -s rolling --destroy=never
  part "remove their machines" molecule destroy -s rolling
fi
part "nothing is left" nothing_is_left
if [ "$(docker volume ls -q | sort)" != "$volumes" ]; then
  echo "FAILED: volumes were left behind" >&2
  exit 1
fi

printf '\n=== times ===\n'
printf '%s\n' "${timings[@]}"
python tests/count_results.py build/junit
