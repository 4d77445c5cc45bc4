#!/bin/sh
# Where a container's log really is on the node, and how it is written. "$1": its directory under /var/log/pods.
printf '@@unshim-probe 1\n'
for entry in "$1"/*.log; do
  printf '@@log-file\n%s\n' "$(readlink -f "$entry")"
  # Long lines are cut here: how a line begins says how it is written.
  printf '@@log-lines\n'
  cut -c 1-120 <"$entry" | head -n 20
done
for link in /var/log/containers/*; do
  if [ "$(readlink -f "$link")" = "$(readlink -f "$entry")" ]; then printf '@@log-link\n%s\n' "$link"; fi
done
printf '@@unshim-probe-end\n'
