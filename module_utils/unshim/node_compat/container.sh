#!/bin/sh
# Look at a container from inside and print what is there, for observation.py to read. Changes nothing but two files in
# volumes of the probe pod. POSIX sh with busybox or coreutils. Asked of process 1: what a runtime gives exec may differ.

# One section: show NAME COMMAND...
show() {
  printf '@@%s\n' "$1"
  shift
  "$@" 2>/dev/null
  printf '\n'
}

words() { tr '\0' ' ' <"$1"; }

# Names only: values may be secrets.
variables() { tr '\0' '\n' </proc/1/environ | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*$/\1/p' | sort -u; }

sysctls() {
  for name in net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range net/ipv4/ip_local_port_range \
    net/ipv6/conf/all/disable_ipv6 net/ipv6/conf/lo/disable_ipv6; do
    if value=$(cat "/proc/sys/$name"); then printf '%s %s\n' "$(printf '%s' "$name" | tr / .)" "$value"; fi
  done
}

interfaces() {
  for interface in /sys/class/net/*; do
    if [ -e "$interface/mtu" ]; then
      printf '%s %s %s\n' "${interface##*/}" "$(cat "$interface/mtu")" "$(cat "$interface/flags")"
    fi
  done
}

identity() { printf '%s %s %s\n' "$(id -u)" "$(id -g)" "$(id -G)"; }

volumes() {
  printf 'from-init %s\n' "$(cat /data/from-init)"
  if echo inside >/data/below/file && [ "$(cat /below/file)" = inside ]; then printf 'sub-path yes\n'; fi
  if (echo x >/read-only/file); then printf 'read-only written\n'; elif [ -d /read-only ]; then printf 'read-only refused\n'; fi
}

# What both runtimes hide, where this kernel has it: containerd pkg/oci/spec.go, moby oci/defaults.go.
to_hide() {
  for path in /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi \
    /sys/firmware; do
    if [ -e "$path" ]; then printf '%s\n' "$path"; fi
  done
}

LC_ALL=C
export LC_ALL
printf '@@unshim-probe 1\n'
show limits cat /proc/1/limits
show status cat /proc/1/status
show cgroup cat /proc/1/cgroup
show mounts cat /proc/self/mountinfo
show to-hide to_hide
show first-process words /proc/1/cmdline
show apparmor cat /proc/1/attr/current
show hostname cat /proc/sys/kernel/hostname
show hosts cat /etc/hosts
show resolver cat /etc/resolv.conf
show variables variables
show value printf %s "$UNSHIM_COMPAT_VALUE"
show sysctls sysctls
show interfaces interfaces
show identity identity
show volumes volumes
show clock date +%Z%z
show umask umask
printf '@@unshim-probe-end\n'
