"""Judgements on volumes as a container finds them."""

from __future__ import annotations

from .judge_containers import mount_points
from .model import Observed, Verdict, broken, ok
from .observation import table


def propagation(now: Observed, before: Observed | None) -> Verdict:
    mounts = mount_points(now.text("plain.mounts"))
    wrong = []
    if "/data" not in mounts or "/received" not in mounts:
        return broken("a volume is not mounted")
    if "shared:" in mounts["/data"][1] or "master:" in mounts["/data"][1]:
        wrong.append("a volume without mountPropagation takes part in the node's mounts")
    if "master:" not in mounts["/received"][1]:
        wrong.append("a volume with HostToContainer does not see the node's mounts")
    return broken("; ".join(wrong)) if wrong else ok("None is private, HostToContainer a slave of the node's")


def sub_path(now: Observed, before: Observed | None) -> Verdict:
    seen = table(now.text("plain.volumes"))
    wrong = []
    if seen.get("sub-path") != "yes":
        wrong.append("what is written in a volume is not seen through a subPath")
    if seen.get("read-only") != "refused":
        wrong.append("a read-only mount can be written")
    return broken("; ".join(wrong)) if wrong else ok("a subPath shows its directory, a read-only mount refuses")


def handed_over(now: Observed, before: Observed | None) -> Verdict:
    seen = table(now.text("plain.volumes")).get("from-init", "")
    wanted = f"made of {now.text('pod.token')}"
    return (
        ok("what the init container wrote is there") if seen == wanted else broken(f"it finds {seen!r}, not {wanted!r}")
    )
