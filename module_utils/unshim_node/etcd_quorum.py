"""May a member of etcd go down now, and did it come back? Judged from what the members say; nothing is asked here.

etcd goes on while more than half of its voting members are up (https://etcd.io/docs/v3.4/faq/). A learner has no vote.
"""

import re
from typing import Any, Dict, List, NamedTuple

from .errors import NodeError

Member = NamedTuple("Member", [("id", str), ("name", str), ("client_urls", List[str]), ("learner", bool)])
# problem: what is wrong with it, "" if it is healthy; version and leader are "" if it did not answer
Health = NamedTuple("Health", [("member", Member), ("problem", str), ("version", str), ("leader", str)])
Cluster = NamedTuple("Cluster", [("id", str), ("own", str), ("members", List[Health])])


def parse_members(answer: Dict[str, Any]) -> List[Member]:
    """Return the members in the gateway's answer to /v3/cluster/member/list. Numbers of 64 bits are strings in it.

    Raises:
        NodeError: the answer is not etcd's.
    """
    members = answer.get("members") or []
    if not isinstance(members, list) or not all(
        isinstance(one, dict) and isinstance(one.get("clientURLs") or [], list) for one in members
    ):
        raise NodeError("What etcd says of its members is not understood: %.200r." % (members,))
    return [
        Member(
            str(one.get("ID", "")),
            str(one.get("name", "")),
            [str(url) for url in one.get("clientURLs") or []],
            bool(one.get("isLearner")),
        )
        for one in members
    ]


def label(member: Member) -> str:
    """Return a member as an operator knows it: its name, its ID as etcdctl prints it (hexadecimal), its addresses."""
    number = "%x" % int(member.id) if re.match(r"[0-9]{1,20}$", member.id) else member.id
    where = ", ".join(member.client_urls)
    return "%s (%s%s)" % (member.name or "a member that was added and never started", number, where and ", " + where)


def quorum(cluster: Cluster) -> int:
    """Return how many voting members have to be up."""
    return len(voters(cluster)) // 2 + 1


def voters(cluster: Cluster) -> List[Health]:
    return [one for one in cluster.members if not one.member.learner]


def own(cluster: Cluster) -> Health:
    return next(one for one in cluster.members if one.member.id == cluster.own)


def unhealthy(cluster: Cluster) -> List[Health]:
    return [one for one in cluster.members if one.problem]


def listed(members: List[Health]) -> str:
    return "; ".join("%s: %s" % (label(one.member), one.problem) for one in members)


def refusal(cluster: Cluster) -> str:
    """Return why this node's member may not go down now, "" if it may.

    A cluster of one or two members loses its quorum with either in any case; that is its owner's choice, and refused only
    while something is wrong with a member.
    """
    mine = own(cluster)
    if mine.problem:
        return "etcd's member on this node is not healthy: %s." % listed([mine])
    voting = voters(cluster)
    others = [one for one in voting if one.member.id != cluster.own]
    well = [one for one in others if not one.problem]
    if len(well) < quorum(cluster) and len(well) < len(others):
        return (
            "etcd has %d members and needs %d of them; without this node's there would be %d, since %s is not healthy: %s."
            % (
                len(voting),
                quorum(cluster),
                len(well),
                "one" if len(others) - len(well) == 1 else "more than one",
                listed([one for one in others if one.problem]),
            )
        )
    return ""


def warnings(cluster: Cluster) -> List[str]:
    """Return what an operator should know of a cluster that this node's member may leave for a while."""
    found = []
    voting = voters(cluster)
    if len(voting) <= 2:
        found.append(
            "etcd has %s, so it and with it the API server are away while this node moves."
            % ("one member" if len(voting) == 1 else "two members and needs both")
        )
    others = [one for one in unhealthy(cluster) if one.member.id != cluster.own]
    if others and not refusal(cluster):
        found.append("etcd can do without this node's member, but not everything in it is well: %s." % listed(others))
    return found


def missing(cluster: Cluster, before: Dict[str, Any]) -> List[str]:
    """Return what is not as it was before the move; [] if this node's member is back.

    What became of other members meanwhile is no reason to put this node back: that would take down one more.

    Args:
        before: :func:`noted` of the cluster then.
    """
    found = []
    mine = own(cluster)
    if before.get("cluster_id") not in (None, cluster.id):
        found.append("etcd of this node belongs to another cluster than before")
    elif before.get("member_id") not in (None, cluster.own):
        found.append(
            "etcd of this node is another member than before (%s, not %x)"
            % (label(mine.member), int(before["member_id"]))
        )
    if mine.problem:
        found.append(listed([mine]))
    return found


def noted(cluster: Cluster) -> Dict[str, Any]:
    """Return what has to be remembered of the cluster to judge it after the move; small, for the journal."""
    return {
        "cluster_id": cluster.id,
        "member_id": cluster.own,
        "members": {one.member.id: label(one.member) for one in cluster.members},
    }
