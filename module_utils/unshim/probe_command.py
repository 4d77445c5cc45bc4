"""The one command that runs ``probe.sh`` on a node, for whichever tool carries it there, and what comes back from it.

Standard input is no way in: with sudo or ``become`` it is where the password goes, and the shells of some connections have
none. A quoted script would do, but each of the shells on its way (sudo's, the tool's, the login shell) quotes it anew,
which makes a quote five characters, then 25; one argument may have 128 KiB. base64 of the compressed script has nothing to
quote, is short, and gzip and base64 are in coreutils' and busybox' company everywhere.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import shlex
import zlib

from .sections import ProbeError

# What the node prints if it cannot unpack the script.
NO_UNPACKER = "@@unshim-no-unpacker"
PACKED = "@@unshim-packed"
PACKED_END = "@@unshim-packed-end"
LONGEST = 64 << 20  # bytes of a probe's output; the largest recorded one has 50 kB


def _unpack(script: str) -> str:
    packed = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    unpack = f"unshim_probe=$(printf %s {packed} | base64 -d 2>/dev/null | gzip -dc 2>/dev/null)"
    return f'{unpack} && [ -n "$unshim_probe" ]'


def packed_command(script: str) -> str:
    """Return a command that runs ``script``, short and free of single quotes inside."""
    return f'{_unpack(script)} && exec sh -c "$unshim_probe"; echo {NO_UNPACKER}'


def packed_both_ways(script: str) -> str:
    """Return the same for a tool that takes a node's output for UTF-8 and drops what is not: the answer comes packed, too."""
    run = f'echo {PACKED}; sh -c "$unshim_probe" | gzip -c | base64; echo {PACKED_END}; exit 0'
    return f"{_unpack(script)} && {{ {run}; }}; echo {NO_UNPACKER}"


def plain_command(script: str) -> str:
    """Return a command that runs ``script`` on a node that has no gzip or base64: comments left out, quoted."""
    lines = [line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "exec sh -c " + shlex.quote("\n".join(lines))


def as_root(command: str, program: str, with_password: bool) -> str:
    """Return a command that runs ``command`` as root: directly for root, else by sudo or doas, else as who we are.

    A user who may not become root still sees most of a node, and the facts say who looked. The exit code is always 0, so
    that nothing on the way takes a refused sudo for a reason to ask for a password.
    """
    options = {"sudo": "-H -S -p unshim:" if with_password else "-H -n", "doas": "-n"}[program]
    quoted = shlex.quote(command)
    return f'unshim_by=; [ "$(id -u)" -eq 0 ] || unshim_by="{program} {options}"; $unshim_by sh -c {quoted} || sh -c {quoted}; true'


def unpacked(text: str) -> str:
    """Return the probe's output from what ``packed_both_ways`` printed; any other text as it is.

    Raises:
        ProbeError: it was cut off or damaged on its way.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    match = re.search(rf"^{PACKED}\n(.*?)(^{PACKED_END}$|\Z)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        return text
    if not match[2]:
        raise ProbeError("the probe's output was cut off: run again")
    try:
        content = base64.b64decode(match[1].replace("\n", ""), validate=True)
        packed = zlib.decompressobj(zlib.MAX_WBITS | 16)  # of gzip
        data = packed.decompress(content, LONGEST)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ProbeError(f"the probe's output was damaged on its way: {error}") from error
    if content and not packed.eof:
        reason = f"it has more than {LONGEST >> 20} MB" if packed.unconsumed_tail else "it ends early"
        raise ProbeError(f"the probe's output was damaged on its way: {reason}")
    return data.decode("utf-8", "surrogateescape")
