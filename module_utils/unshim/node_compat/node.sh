#!/bin/sh
# What of a node pods depend on and probe.sh does not print, for observation.py to read. Changes nothing.
# What containerd is configured with comes back whole and is not kept: it may hold logins.

show() {
  printf '@@%s\n' "$1"
  shift
  "$@" 2>/dev/null
  printf '\n'
}

has() { command -v "$1" >/dev/null; }

pid_of() { systemctl show -p MainPID --value "$1"; }

forward_policy() { iptables -w 5 -S FORWARD | head -n 1; }

# DOCKER_OUTPUT and DOCKER_POSTROUTING are of a Docker this node may itself be a container of.
docker_chains() { iptables-save | sed -n 's/^:\(DOCKER[A-Z0-9-]*\) .*$/\1/p' | grep -vx -e DOCKER_OUTPUT -e DOCKER_POSTROUTING; }

docker_links() { ip -o link show | sed -n 's/^[0-9]*: \(docker[0-9]*\|br-[0-9a-f]\{12\}\)[@:].*$/\1/p'; }

entries() { stat -L -c '%a %U:%G %F %n' /run/containerd /run/containerd/containerd.sock /run/docker.sock; }

complaints() {
  pid=$(pid_of containerd)
  case $pid in '' | 0) ;; *) journalctl -o cat -b "_PID=$pid" | grep -iE 'unknown key|deprecat' | cut -c 1-300 | sort -u | head -n 5 ;; esac
  ctr deprecations list 2>/dev/null | sed 1d
}

# Names only: the values may hold a password.
proxies() {
  pid=$(pid_of "$1")
  case $pid in '' | 0) ;; *) tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^\([A-Za-z_]*_[Pp][Rr][Oo][Xx][Yy]\)=..*$/\1/p' | sort -u ;; esac
}

# The plugins in the directories that containerd is set to look in.
cni_plugins() {
  containerd config dump | sed -n 's/^[[:space:]]*bin_dirs\{0,1\}[[:space:]]*=//p' | tr "\"'[],\t " '\n' | while read -r directory; do
    case $directory in /*) for entry in "$directory"/*; do if [ -x "$entry" ]; then printf '%s\n' "$entry"; fi; done ;; esac
  done
}

pinned() { ctr -n k8s.io images ls -q 'labels."io.cri-containerd.pinned"==pinned'; }

LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
printf '@@unshim-probe 1\n'
has iptables && show forward-policy forward_policy
has iptables-save && show docker-chains docker_chains
has ip && show docker-links docker_links
show entries entries
has journalctl && show complaints complaints
show proxies-docker proxies docker
show proxies-containerd proxies containerd
if has ctr && [ -S /run/containerd/containerd.sock ]; then
  show pinned pinned
fi
if has containerd; then
  show cni-plugins cni_plugins
  show config containerd config dump
fi
printf '@@unshim-probe-end\n'
