"""Fetch a small file from a node that is not this machine, with what it has: curl, wget, or apt's own helper.

The node fetches, as its Python would: it is the one that reaches the mirror, through its proxy if it has one.
"""

import base64

from . import commands
from .errors import NodeError

TIMEOUT = 120  # s
NO_PROGRAM = 44  # a return code of ours

SCRIPT = (
    """
umask 077
file=$(mktemp) || exit
trap 'rm -f -- "$file"' EXIT
IFS= read -r url
# It may hold a password, which a command line would show to every user of the node; apt's helper takes it there only.
if command -v curl >/dev/null; then printf 'url = "%%s"\\n' "$url" | curl -fsSL --connect-timeout 60 -K - -o "$file" || exit
elif command -v wget >/dev/null; then printf '%%s\\n' "$url" | wget -q -T 60 -i - -O "$file" || exit
elif [ -x /usr/lib/apt/apt-helper ]; then /usr/lib/apt/apt-helper download-file "$url" "$file" >/dev/null || exit
else exit %d; fi
head -c "$1" "$file" | base64
"""
    % NO_PROGRAM
)


def read(url, limit):
    """Return the first ``limit`` bytes of what is at ``url``."""
    argv = ["/bin/sh", "-c", SCRIPT.strip(), "sh", str(limit)]
    result = commands.run(argv, stdin=url + "\n", timeout=TIMEOUT, check=False)
    if result.rc == NO_PROGRAM:
        raise NodeError(
            "This node has none of curl, wget and apt-helper to fetch %s with; nothing was changed. Name a file on the controller "
            "instead (unshim_docker_repository_key)." % url
        )
    if result.rc != 0:
        raise NodeError(
            "%s cannot be fetched: %s. Nothing was changed. Check the address, and that this node reaches it (through its "
            "proxy, if it has one)." % (url, commands.last_lines(result.err, 1) or "returned %d" % result.rc)
        )
    return base64.b64decode(result.out)
