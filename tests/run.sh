#!/usr/bin/env bash
# Every test, in the order that fails soonest. `make test` sets up, then calls this; --full takes many more cases.
# Two labs run at a time, since most of what a scenario does is wait for the other machines: `the fleet` goes on beside the
# scenarios, its output in build/fleet.log. Leaves nothing of the lab behind, whatever happens; images and builds stay cached.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
rm -rf build/junit build/story build/carry_over build/rolling build/faults build/faults.json build/faults.md build/timings
mkdir -p build/junit
if [ "${1:-}" = --full ]; then export UNSHIM_FULL=1; fi

part() {
  local name=$1 began=$SECONDS
  shift
  printf '\n=== %s ===\n' "$name"
  if ! "$@"; then
    printf '\nFAILED: %s after %d s\n' "$name" "$((SECONDS - began))" >&2
    return 1
  fi
  printf '%-34s %4d s\n' "$name" "$((SECONDS - began))" >>build/timings
}

# molecule keeps its state in the home directory, and skips what it thinks is there: after a run that was ended, or `make
# lab-down`, or one in another clone of the same name, it is wrong until the scenario is destroyed.
machines_of_the_fleet() {
  molecule destroy -s rolling && molecule destroy -s faults && molecule create -s faults
}

# One lab for both: the faults leave every node on Docker, and the rolling move takes them all.
the_fleet() {
  part "molecule: faults" molecule verify -s faults
  part "molecule: rolling" molecule test -s rolling --destroy=never
}

# Ends with the job's exit code; what it printed comes in one piece.
await() {
  local pid=$1 log=$2 code=0
  while kill -0 "$pid" 2>/dev/null; do
    echo "waiting for the fleet: $(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -aoE '(test_[a-z_0-9]+|TASK \[[^]]*\]|=== .* ===)' | tail -n 1)"
    for _ in {1..30}; do kill -0 "$pid" 2>/dev/null && sleep 1; done
  done
  wait "$pid" || code=$?
  cat "$log"
  return "$code"
}

leave_nothing_behind() {
  local code=$?
  trap - EXIT
  if [ -n "${fleet:-}" ] && kill -0 "$fleet" 2>/dev/null; then
    kill -TERM -- "-$fleet" 2>/dev/null || true
    wait "$fleet" || true
    echo "the fleet was ended before its time; the last it said:"
    tail -n 40 build/fleet.log
  fi
  sysctl -qw "fs.inotify.max_user_instances=$instances"
  if [ -w "$SHARES" ]; then echo 1024 >"$SHARES"; fi
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

SHARES=/sys/fs/cgroup/cpu/docker/cpu.shares
# Ten machines at a time need more than the kernel's default of 128; see molecule/_lab/README.md.
instances=$(sysctl -n fs.inotify.max_user_instances)
trap leave_nothing_behind EXIT
if [ "$instances" -lt 1024 ]; then sysctl -qw fs.inotify.max_user_instances=1024; fi

part "static checks" bash tests/lint.sh
part "unit tests" pytest -q tests/unit --junitxml=build/junit/unit.xml
part "monitoring" pytest -q tests/monitoring --junitxml=build/junit/monitoring.xml
part "audit of a fleet" pytest -q tests/audit --junitxml=build/junit/audit.xml
part "provisioning from afar" pytest -q tests/provision/from_afar tests/provision/refused --junitxml=build/junit/provision.xml
part "node-side code on an old Python" bash tests/unit/node/run_on_oldest_python.sh
if [ -n "${UNSHIM_FULL:-}" ]; then part "oldest and newest ansible-core" bash tests/ansible_range.sh; fi
part "lab images" bash molecule/_lab/images/build.sh bookworm bullseye trixie containerd2 dnf zypper
part "lab archives" bash molecule/_lab/images/archives.sh
# With cgroup v1 all machines together weigh as much as one process of the controllers: etcd would starve beside them.
if [ -w "$SHARES" ]; then echo 10240 >"$SHARES"; fi
volumes=$(docker volume ls -q | sort)
# The network goes with the last machine on it: these come before, and go after, those of the scenarios.
part "machines of the fleet" machines_of_the_fleet
# A job with a process group of its own, so that all of it can be ended.
set -m
(
  set +m
  the_fleet
) >build/fleet.log 2>&1 </dev/null &
fleet=$!
set +m
part "molecule: default" molecule test -s default
part "molecule: matrix" molecule test -s matrix
part "molecule: monitoring" molecule test -s monitoring
part "molecule: migrate" molecule test -s migrate
part "molecule: carry_over" molecule test -s carry_over
part "molecule: dind" molecule test -s dind
part "the fleet, after the scenarios" await "$fleet" build/fleet.log
part "remove its machines" molecule destroy -s rolling
molecule destroy -s faults
part "nothing is left" nothing_is_left
if [ "$(docker volume ls -q | sort)" != "$volumes" ]; then
  echo "FAILED: volumes were left behind" >&2
  exit 1
fi

printf '\n=== times ===\n'
cat build/timings
python tests/count_results.py build/junit
