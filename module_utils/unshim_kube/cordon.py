"""Closing and opening a node for pods, with a note on the node about who did it and what it was before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import KubeError, Refused
from .node_view import get_node, patch_node

if TYPE_CHECKING:
    from .client import Api

TRIES = 10

Outcome = tuple[dict[str, Any] | None, Any]


def change_node(
    api: Api, name: str, decide: Callable[[dict[str, Any]], Outcome], dry_run: bool = False
) -> tuple[dict[str, Any], bool, Any]:
    """Read the node, let ``decide`` make a merge patch of it (or None), and apply that unless somebody was faster.

    Returns:
        The node as it was read, whether it was (or with ``dry_run`` would be) changed, and what ``decide`` returned beside
        the patch.
    """
    for _ in range(TRIES):
        node = get_node(api, name)
        patch, answer = decide(node)
        if patch is None:
            return node, False, answer
        if dry_run:
            return node, True, answer
        try:
            patch_node(api, name, patch, node["metadata"]["resourceVersion"])
        except Refused as error:
            if error.status != 409:
                raise
        else:
            return node, True, answer
    raise KubeError(f"Node {name} changed every time it was to be patched ({TRIES} tries). Run again.")
