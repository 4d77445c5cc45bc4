#!/bin/sh
# What a node has of what dockerd in a pod needs: read by host.py. Reads only. The rules that dockerd makes are tried in a network
# namespace that ends with the command, which also loads what the kernel loads on demand. Sections begin with "== ".
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin; export PATH
echo "== route"; cat /proc/net/route 2>/dev/null
echo "== kernel"; uname -r
echo "== sysctl"
for name in fs.inotify.max_user_instances fs.inotify.max_user_watches; do
  printf '%s ' "$name"; cat "/proc/sys/$(echo "$name" | tr . /)" 2>/dev/null || echo
done
for kind in nft legacy; do
  echo "== iptables $kind"
  program=$(command -v "iptables-$kind" 2>/dev/null) || { echo missing; continue; }
  # shellcheck disable=SC2016  # the inner shell's own
  said=$(unshare -n sh -c '
    "$0" -w -t nat -N UNSHIM && "$0" -w -t nat -A UNSHIM -m addrtype --dst-type LOCAL -j RETURN &&
    "$0" -w -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE &&
    "$0" -w -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT' "$program" 2>&1) && echo works ||
    echo "fails: $(echo "$said" | tr '\n' ' ')"
done
echo "== modules"
for name in overlay bridge br_netfilter veth xt_addrtype xt_conntrack xt_MASQUERADE nf_tables nft_compat nft_chain_nat \
  ip_tables iptable_filter iptable_nat; do
  if grep -q "^$name " /proc/modules 2>/dev/null; then echo "$name loaded"
  elif grep -q "/$name.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null; then echo "$name builtin"
  elif modprobe -n -q "$name" 2>/dev/null; then echo "$name loadable"
  # A container that is a machine has its host's kernel, and not its modules' files.
  elif [ ! -d "/lib/modules/$(uname -r)" ]; then echo "$name unknown"
  else echo "$name absent"; fi
done
