#!/usr/bin/env bash
# Every test, in the order that fails soonest. `make test` sets up, then calls this; --full takes many more cases.
# Two scenarios run at a time: a lane of them goes on beside those that are seen, its output in build/lanes/. One alone leaves a
# quarter of two processors idle; of three, each pays longer for what a cluster needs that only waits (0.3 of a processor).
# The lab's images are made beside the tests that mostly wait.
# Leaves nothing of the lab behind, whatever happens; images and builds stay cached.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
rm -rf build/junit build/story build/carry_over build/rolling build/faults build/faults.json build/faults.md build/timings build/lanes
mkdir -p build/junit build/lanes
declare -A lanes=()
if [ "${1:-}" = --full ]; then export UNSHIM_FULL=1 UNSHIM_MATRIX=lab-matrix-full; fi

# In a lane nothing is said of the others; in the foreground nothing new begins once a lane has failed.
part() {
  local name=$1 began=$SECONDS
  shift
  if [ -z "${lane:-}" ]; then no_lane_failed; fi
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

lane_of_the_images() {
  part "lab images" bash molecule/_lab/images/build.sh bookworm bullseye trixie containerd2 dnf zypper &&
    part "lab archives" bash molecule/_lab/images/archives.sh
}

# The network comes with the first machine on it and goes with the last: a lane must not make or lose it while the other makes
# machines. Its addresses are those of molecule/_lab/create.yml.
hold_the_network() {
  local image
  image=$(docker images -q --filter label=unshim.lab.image=1 unshim-lab/registry | sed -n 1p) &&
    docker network create --label unshim.lab=1 --subnet 10.213.0.0/16 --ip-range 10.213.128.0/17 unshim-lab &&
    docker run -d --label unshim.lab=1 --name unshim-lab-network --network unshim-lab --entrypoint sleep "$image" infinity
}

let_the_network_go() {
  docker rm -f -v unshim-lab-network && docker network rm unshim-lab
}

# One lab for the first two: the faults leave every node on Docker, and the rolling move takes them all.
lane_of_the_fleet() {
  part "machines of the fleet" machines_of_the_fleet &&
    part "molecule: faults" molecule verify -s faults &&
    part "molecule: rolling" molecule test -s rolling --destroy=never &&
    part "remove the fleet's machines" molecule destroy -s rolling && molecule destroy -s faults &&
    part "molecule: dind" molecule test -s dind &&
    part "molecule: monitoring" molecule test -s monitoring
}

# Start a lane as a job with a process group of its own, so that all of it can be ended.
start() {
  lane=$1
  set -m
  (
    set +m
    code=0
    "lane_of_the_$lane" || code=$?
    echo "$code" >"build/lanes/$lane.rc"
  ) >"build/lanes/$lane.log" 2>&1 </dev/null &
  lanes[$lane]=$!
  set +m
  unset lane
}

failed_lanes() {
  local ended
  for ended in build/lanes/*.rc; do
    if [ -e "$ended" ] && [ "$(cat "$ended")" -ne 0 ]; then basename "$ended" .rc; fi
  done
}

no_lane_failed() {
  local failed
  for failed in $(failed_lanes); do
    echo "FAILED: a part of lane $failed; all that it printed:" >&2
    cat "build/lanes/$failed.log"
    return 1
  done
}

# What a lane printed comes in one piece.
await() {
  local log=build/lanes/$1.log
  while kill -0 "${lanes[$1]}" 2>/dev/null; do
    echo "waiting for lane $1: $(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -aoE '(test_[a-z_0-9]+|lab: [^.]*|TASK \[[^]]*\]|=== .* ===)' | tail -n 1)"
    for _ in {1..30}; do kill -0 "${lanes[$1]}" 2>/dev/null && sleep 1; done
  done
  wait "${lanes[$1]}" || true
  cat "$log"
  unset "lanes[$1]"
  [ "$(cat "build/lanes/$1.rc")" -eq 0 ]
}

# Often only the end of an output is kept: it says what failed where no test did, as in a playbook of a scenario.
errors_of_the_lanes() {
  local failed
  for failed in $(failed_lanes); do
    printf '\nlane %s failed:\n' "$failed"
    sed 's/\x1b\[[0-9;]*m//g' "build/lanes/$failed.log" | grep -aE -A 6 'fatal: |FAILED|CRITICAL|^lab: .*failed' | tail -n 40
  done
}

leave_nothing_behind() {
  local code=$?
  trap - EXIT
  for lane in "${!lanes[@]}"; do
    if kill -0 "${lanes[$lane]}" 2>/dev/null; then
      kill -TERM -- "-${lanes[$lane]}" 2>/dev/null || true
      wait "${lanes[$lane]}" || true
      echo "lane $lane was ended before its time; the last it said:"
      tail -n 40 "build/lanes/$lane.log"
    fi
  done
  sysctl -qw "fs.inotify.max_user_instances=$instances"
  if [ -w "$SHARES" ]; then echo 1024 >"$SHARES"; fi
  make --no-print-directory lab-down || code=1
  if [ "$code" -ne 0 ]; then
    python tests/count_results.py --failures build/junit || true
    errors_of_the_lanes || true
  fi
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
# A dozen machines at a time need more than the kernel's default of 128; see molecule/_lab/README.md.
instances=$(sysctl -n fs.inotify.max_user_instances)
trap leave_nothing_behind EXIT
if [ "$instances" -lt 1024 ]; then sysctl -qw fs.inotify.max_user_instances=1024; fi

part "static checks" bash tests/lint.sh
part "unit tests" pytest -q -n 2 --dist loadfile tests/unit --junitxml=build/junit/unit.xml
start images
part "monitoring" pytest -q tests/monitoring --junitxml=build/junit/monitoring.xml
part "audit of a fleet" pytest -q tests/audit --junitxml=build/junit/audit.xml
part "provisioning from afar" pytest -q tests/provision/from_afar tests/provision/refused --junitxml=build/junit/provision.xml
part "node-side code on an old Python" bash tests/unit/node/run_on_oldest_python.sh
if [ -n "${UNSHIM_FULL:-}" ]; then part "oldest and newest ansible-core" bash tests/ansible_range.sh; fi
part "the images, beside the others" await images
# With cgroup v1 all machines together weigh as much as one process of the controllers: etcd would starve beside them.
if [ -w "$SHARES" ]; then echo 10240 >"$SHARES"; fi
volumes=$(docker volume ls -q | sort)
part "the lab's network" hold_the_network
start fleet
part "molecule: default" molecule test -s default
part "molecule: matrix" molecule test -s matrix
part "molecule: migrate" molecule test -s migrate
part "molecule: carry_over" molecule test -s carry_over
part "the other lane, after these" await fleet
part "the network goes" let_the_network_go
part "nothing is left" nothing_is_left
if [ "$(docker volume ls -q | sort)" != "$volumes" ]; then
  echo "FAILED: volumes were left behind" >&2
  exit 1
fi

printf '\n=== times ===\n'
cat build/timings
printf '%-34s %4d s\n' "in all, after make setup" "$SECONDS"
python tests/count_results.py build/junit
