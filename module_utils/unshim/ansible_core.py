"""What ansible-core asks of a node. Pure.

Source of the table: docs.ansible.com, "Releases and maintenance", ansible-core support matrix, column of the managed node.
"""

from __future__ import annotations

from .compat import Version, parse_version

#: (ansible-core from this version on, the oldest Python on a node that its modules take), newest first.
PYTHON_ON_NODES: tuple[tuple[Version, Version], ...] = (
    ((2, 20, 0), (3, 9, 0)),
    ((2, 18, 0), (3, 8, 0)),
    ((2, 17, 0), (3, 7, 0)),
    ((0, 0, 0), (3, 6, 0)),
)


def python_refusal(host: str, python: str, ansible_core: str) -> str:
    """Return why a host's Python does not do for this ansible-core, with the remedies; "" if it does.

    Args:
        python: its version; "" if the host has none.
    """
    controller = parse_version(ansible_core) or (0, 0, 0)
    needed = next(oldest for since, oldest in PYTHON_ON_NODES if controller >= since)
    if (parse_version(python) or (0, 0, 0)) >= needed:
        return ""
    return (
        f"{host} has Python {python or 'none'}; modules of ansible-core {ansible_core} need {needed[0]}.{needed[1]} or newer "
        "there. Install a newer python3 on the node, or run unshim with an older ansible-core (2.16 serves 3.6 and newer). "
        "Nothing was changed."
    )
