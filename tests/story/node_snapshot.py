"""Everything about a node that a move could change, as {key: value}, so that two moments can be compared.

Keys are "file PATH", "unit NAME", "package NAME" and "kubelet". Left out is only what changes by itself while a node
lives; each such path is named here.
"""

DIRECTORIES = "/etc /usr/local /opt /root /lib/systemd /usr/lib/modules-load.d /usr/lib/sysctl.d /var/lib/kubelet /var/lib/unshim /var/spool/cron"

# Changes by itself: pods' own directories and kubelet's checkpoints; journald and resolvers' links; systemd's random
# seed; the cache of the dynamic linker, which dpkg triggers rewrite; what kubectl remembers of the API for ten minutes.
LEFT_OUT = "/var/lib/kubelet/pods /var/lib/kubelet/plugins /var/lib/kubelet/device-plugins /var/lib/kubelet/cpu_manager_state /etc/resolv.conf /etc/mtab /root/.kube/cache"

SCRIPT = f"""
set -u
prune=
for path in {LEFT_OUT}; do prune="$prune -path $path -prune -o"; done
find {DIRECTORIES} $prune \\( -type f -o -type l -o -type d \\) -printf '%y %m %u:%g %l\\t%p\\n' 2>/dev/null |
  while IFS='\t' read -r what path; do
    sum=
    case $what in f*) sum=$(sha256sum <"$path" | cut -c1-64) ;; esac
    printf 'file %s\\t%s %s\\n' "$path" "$what" "$sum"
  done
for unit in kubelet.service docker.service docker.socket containerd.service cri-docker.service cri-docker.socket; do
  printf 'unit %s\\t%s %s\\n' "$unit" "$(systemctl is-active "$unit")" "$(systemctl is-enabled "$unit" 2>/dev/null)"
done
dpkg-query -W -f 'package ${{Package}}\\t${{Version}} ${{Status}}\\n'
pid=$(systemctl show kubelet -p MainPID --value)
if [ "${{pid:-0}}" -gt 0 ]; then printf 'kubelet\\t%s\\n' "$(tr '\\0' ' ' <"/proc/$pid/cmdline")"; fi
"""


def take(lab, node):
    """Return the snapshot of a node now."""
    return dict(line.split("\t", 1) for line in lab.on(node, SCRIPT).splitlines())


def changes(before, after):
    """Return {key: (before, after)} of what differs; None where a side has no such key."""
    return {
        key: (before.get(key), after.get(key)) for key in sorted({*before, *after}) if before.get(key) != after.get(key)
    }
