#!/usr/bin/env bash
# The whole story in front of the user's eyes: a dockershim cluster, its plan, its move, the proof. `make demo` calls it.
# Removes the lab at the end; LAB_KEEP=1 leaves it up to look around.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.venv/bin:$PATH" ANSIBLE_FORCE_COLOR="${ANSIBLE_FORCE_COLOR:-$([ -t 1 ] && echo 1 || echo 0)}"
inventory=inventory/lab/hosts.yml
kubectl() { build/lab/kubectl --kubeconfig build/lab/kubeconfig "$@"; }
say() { printf '\n\033[1m=== %s ===\033[0m\n' "$*"; }

# A drain or a gate may take a while: every 10 s a line tells where each node is. On a terminal unshim's own board does, and
# lines from elsewhere would tear it.
tell_progress() {
  local began=$SECONDS line
  local columns=NAME:.metadata.name,RUNTIME:.status.nodeInfo.containerRuntimeVersion,CORDONED:.spec.unschedulable
  while sleep 10; do
    line=$(kubectl get nodes --request-timeout=3s --no-headers -o "custom-columns=$columns" 2>/dev/null |
      awk '{ printf "%s%s on %s%s", (NR > 1 ? ", " : ""), $1, $2, ($3 == "true" ? " (cordoned)" : "") }') || true
    printf '  ... %3d s: %s\n' "$((SECONDS - began))" "${line:-the API server is away}"
  done
}

began=$SECONDS
watcher=
finish() {
  local code=$?
  trap - EXIT
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
  if [ "${LAB_KEEP:-0}" = 1 ]; then
    echo "The lab stays up (LAB_KEEP=1); remove it with: make lab-down"
  else
    say "Cleaning up"
    make --no-print-directory lab-down || code=1
  fi
  exit "$code"
}
trap finish EXIT

say "A Kubernetes 1.20 cluster on Docker, in throwaway containers"
# shellcheck source=molecule/_lab/host/lib.sh
if (. molecule/_lab/host/lib.sh && lab_was_moved); then
  bash molecule/_lab/down.sh # of a demo that was interrupted
  bash molecule/_lab/host/docker.sh start
fi
bash molecule/_lab/up.sh
kubectl get nodes -o wide | tee build/lab/before.txt
kubectl get pods -A -o wide

say "The plan: what will change on each node, and what will not come along"
ansible-playbook -i "$inventory" playbooks/plan.yml

say "The move: first the workers, then the control plane, while a prober asks the Service 20 times a second"
ansible-playbook -i "$inventory" molecule/_lab/start_probers.yml >build/lab/probers.log
if [ ! -t 1 ]; then
  tell_progress &
  watcher=$!
fi
ansible-playbook -i "$inventory" playbooks/migrate.yml
[ -z "$watcher" ] || kill "$watcher"
watcher=

say "Before"
cat build/lab/before.txt
say "After"
kubectl get nodes -o wide
kubectl get pods -A -o wide
python molecule/_lab/outage.py
if [ "$(kubectl get nodes -o wide | grep -c 'containerd://')" -ne 3 ]; then
  echo "not every node runs on containerd" >&2
  exit 1
fi
printf '\nDone in %d min %d s.\n' "$(((SECONDS - began) / 60))" "$(((SECONDS - began) % 60))"
