#!/usr/bin/env bash
# move.sh NODE: what an administrator would write to take one prepared node, worker or control plane, from Docker to
# containerd: drain, switch, wait until it is Ready there with its own pods back, uncordon.
# move.sh --back NODE: the reverse.
# Environment: NODE_SHELL, which runs a command on a node ("ssh", "docker exec -i"); KUBECTL, with its options.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
read -ra node_shell <<<"${NODE_SHELL:-ssh}"
read -ra kubectl <<<"${KUBECTL:-kubectl}"
verb=switch runtime=containerd socket=/run/containerd/containerd.sock
if [ "$1" = --back ]; then
  verb=back runtime=docker socket=/var/run/dockershim.sock
  shift
fi
node=$1

on_node() { "${node_shell[@]}" "$node" sh -s -- "$@" <"$here/node.sh"; }

# On the control plane the API server is one of those that move.
patiently() { until "$@" 2>/dev/null; do sleep 0.5; done; }

# The kubelet's own word: both come with one report of it.
is_ready() {
  local said
  said=$("${kubectl[@]}" get node "$node" --output \
    'jsonpath={.status.nodeInfo.containerRuntimeVersion} {.status.conditions[?(@.type=="Ready")].status}')
  [[ $said == "$runtime"://*" True" ]]
}

# Pods that stay on their node, of DaemonSets and static ones: every container runs, and is the new runtime's. Readiness alone
# may be that of before the move.
own_pods_are_back() {
  local pods
  pods=$("${kubectl[@]}" get pods --all-namespaces --field-selector "spec.nodeName=$node" --output \
    'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{range .status.containerStatuses[*]} {.containerID},{.state.running.startedAt}{end}{"\n"}{end}') || return 1
  awk -v runtime="$runtime" '
    $1 == "DaemonSet" || $1 == "Node" {
      if (NF < 2) missing = 1
      for (i = 2; i <= NF; i++) if (index($i, runtime "://") != 1 || $i ~ /,$/) missing = 1
    }
    END { exit missing }' <<<"$pods"
}

"${kubectl[@]}" drain "$node" --ignore-daemonsets --delete-emptydir-data
on_node "$verb"
patiently is_ready
patiently "${kubectl[@]}" annotate node "$node" --overwrite "kubeadm.alpha.kubernetes.io/cri-socket=$socket"
patiently own_pods_are_back
patiently "${kubectl[@]}" uncordon "$node"
