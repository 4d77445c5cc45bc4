"""Filters that turn a plan or a node's facts into text, for playbooks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import ansible_core, audit, audit_text, plan_text, reboot, records, timeline
from unshim.audit_model import Audit, Sighting
from unshim.facts import Facts
from unshim.monitoring import endpoint, rules, scrape
from unshim.monitoring import files as monitoring_files
from unshim.plan_model import Plan
from unshim.workloads import static_pods


def unshim_plan_text(plan: dict[str, Any]) -> str:
    """Return ``ansible_facts.runtime_plan`` as the text that plan.yml prints."""
    return plan_text.render(records.from_data(Plan, plan))


def unshim_plan_summary(plan: dict[str, Any]) -> str:
    """Return ``ansible_facts.runtime_plan`` in one line."""
    return plan_text.summary(records.from_data(Plan, plan))


def unshim_blockers(plan: dict[str, Any]) -> str:
    """Return what stops a node, with the remedies; "" if nothing does."""
    return plan_text.blockers(records.from_data(Plan, plan))


def unshim_refusal(facts: dict[str, Any], host: str, version: str) -> str:
    """Return why a host that was looked at and planned for cannot be moved, with the remedies; "" if it can."""
    system = (facts.get("runtime") or {}).get("os") or {}
    refusal = unshim_blockers(facts["runtime_plan"])
    return refusal or ansible_core.python_refusal(host, system.get("python") or "", version)


def unshim_only_planned(annotations: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Return, of a node's annotations, those the plan changes; None for one that the node does not have."""
    return {change["name"]: annotations.get(change["name"]) for change in plan.get("annotations", [])}


def unshim_timeline(facts: dict[str, Any]) -> str:
    """Return the journal in ``ansible_facts.runtime`` as a timeline."""
    journal = (facts.get("files") or {}).get(timeline.JOURNAL) or {}
    return timeline.render(facts.get("hostname") or "node", journal.get("content"))


def unshim_duration(seconds: float) -> str:
    """Return seconds in words."""
    return timeline.duration(float(seconds))


def unshim_verified_for(facts: dict[str, Any]) -> float:
    """Return for how many seconds a node has been verified on containerd, by its own clock; 0.0 if it is not."""
    journal = (facts.get("files") or {}).get(timeline.JOURNAL) or {}
    return timeline.since("verified", journal.get("content"), float(facts.get("time") or 0.0))


def unshim_former_cri_sockets(facts: dict[str, Any]) -> list[str]:
    """Return the paths of the CRI sockets that a node's annotations named before its move."""
    journal = (facts.get("files") or {}).get(timeline.JOURNAL) or {}
    return timeline.former_cri_sockets(journal.get("content"))


def unshim_reboot(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what keeps a moved node from coming back on containerd from a reboot: problems, and doubts."""
    return records.to_data(reboot.judge(records.from_data(Facts, facts)))


def unshim_members(hosts: list[str], hostvars: Any, control_plane: list[str]) -> list[dict[str, Any]]:
    """Return hosts that have a plan as ``rollout_order`` takes them."""
    plans = {host: (hostvars[host].get("ansible_facts") or {}).get("runtime_plan") for host in hosts}
    return [
        {
            "host": host,
            "node": plan.get("node_name") or host,
            "state": plan["state"],
            "done": plan["done"],
            "control_plane": host in control_plane,
        }
        for host, plan in plans.items()
        if plan
    ]


def unshim_node_names(hosts: list[str], hostvars: Any) -> list[str]:
    """Return the Kubernetes nodes of hosts that have a plan; a name that is no such host is returned as it is."""
    plans = {
        host: (hostvars[host].get("ansible_facts") or {}).get("runtime_plan") if host in hostvars else None
        for host in hosts
    }
    return [(plan or {}).get("node_name") or host for host, plan in plans.items()]


def unshim_scanned_nodes(hosts: list[str], hostvars: Any) -> list[dict[str, Any]]:
    """Return hosts as ``workload_scan`` takes its nodes, from their facts; a host without facts was not seen."""
    nodes = []
    for host in hosts:
        known = hostvars[host].get("ansible_facts") or {}
        name = (known.get("runtime_plan") or {}).get("node_name") or host
        if known.get("runtime"):
            nodes.append(static_pods.node_of(name, records.from_data(Facts, known["runtime"])))
        else:
            nodes.append(static_pods.ScannedNode(name, seen=False))
    return [records.to_data(node) for node in nodes]


def unshim_failed(hosts: list[str], hostvars: Any) -> list[str]:
    """Return those of some hosts whose move failed in this run."""
    return [host for host in hosts if hostvars[host].get("move_failed")]


def unshim_decisions(decisions: list[dict[str, str]]) -> str:
    """Return the decisions of ``node_drain``, one line for each reason with the pods it is true of."""
    words = {"evict": "leave", "await": "are leaving", "skip": "stay"}
    pods: dict[tuple[str, str], list[str]] = {}
    for decision in decisions:
        pods.setdefault((decision["action"], decision["reason"]), []).append(decision["pod"])
    lines = [
        f"{words.get(action, action)}: {', '.join(names)} ({reason})"
        for (action, reason), names in sorted(pods.items())
    ]
    return "\n".join(lines) or "It has no pods."


def unshim_audit(hosts: list[str], hostvars: Mapping[str, Any], with_facts: bool = False) -> dict[str, Any]:
    """Return the audit of some hosts from what ``audit.yml`` registered of each."""
    nodes = []
    for host in hosts:
        variables = hostvars[host]
        sighting = _sighting(host, variables.get("audit_as_root") or {}, variables.get("audit_as_user") or {})
        found = variables.get("ansible_facts") or {}
        if sighting.status == "seen" and "runtime" in found and "runtime_plan" in found:
            made = records.from_data(Plan, found["runtime_plan"])
            nodes.append(audit.judge(sighting, records.from_data(Facts, found["runtime"]), made, with_facts))
        else:
            nodes.append(audit.judge(sighting, None, None))
    return records.to_data(audit.total(nodes, audit.utc(datetime.now(UTC))))


def _sighting(host: str, as_root: dict[str, Any], as_user: dict[str, Any]) -> Sighting:
    """Return how it went to look at a host, from the results of ``runtime_facts`` as root and, where that failed, as user."""
    said = " ".join(str(as_root.get("msg") or "").split()).removeprefix("Task failed: ")
    if as_user and "ansible_facts" in as_user:
        return Sighting(host, "seen", said, as_user.get("elapsed"))
    if as_root.get("unreachable") or as_user.get("unreachable"):
        return Sighting(host, "unreachable", said)
    if as_root.get("timedout") or as_user.get("timedout"):
        return Sighting(host, "timed-out", said)
    if "ansible_facts" in as_root:
        return Sighting(host, "seen", "", as_root.get("elapsed"))
    return Sighting(host, "no-probe", " ".join(str(as_user.get("msg") or said or "the probe was not tried").split()))


def unshim_audit_text(audited: dict[str, Any]) -> str:
    """Return an audit as the table that ``audit.yml`` and ``deploys/audit.py`` print."""
    return audit_text.render(records.from_data(Audit, audited))


def unshim_metrics_endpoint(facts: dict[str, Any], address: str) -> dict[str, Any]:
    """Return where a node's containerd serves its metrics, or will at ``address``, and the files to change for that."""
    try:
        return records.to_data(endpoint.make(records.from_data(Facts, facts), str(address)))
    except endpoint.EndpointError as error:
        raise AnsibleFilterError(str(error)) from None


def unshim_monitoring_files(
    hostvars: Any, alerts: dict[str, Any], port: int, cri_endpoint: str, crictl: str, health_checker: str
) -> dict[str, str]:
    """Return what a monitoring system needs, by path: of the hosts whose endpoint ``monitoring.yml`` found."""
    nodes = [_scraped(host, hostvars[host]) for host in hostvars if "monitoring_endpoint" in hostvars[host]]
    try:
        return monitoring_files.render(
            nodes,
            overrides=alerts,
            node_exporter_port=int(port),
            cri_endpoint=str(cri_endpoint),
            crictl=str(crictl),
            health_checker=str(health_checker),
        )
    except rules.AlertError as error:
        raise AnsibleFilterError(str(error)) from None


def _scraped(host: str, variables: Any) -> scrape.Node:
    """Return a host as Prometheus reaches it: by its first address out of the node."""
    found = variables["monitoring_endpoint"]
    facts = variables.get("ansible_facts") or {}
    runtime = facts.get("runtime") or {}
    registered = scrape.node_name(records.from_data(Facts, runtime)) if runtime else ""
    name = variables.get("unshim_node_name") or registered or host
    addresses = runtime.get("addresses") or []
    address = addresses[0] if addresses else str(variables.get("ansible_host") or host)
    return scrape.Node(str(name), str(address), str(found["address"]), bool(found["is_loopback"]))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "unshim_audit": unshim_audit,
            "unshim_audit_text": unshim_audit_text,
            "unshim_blockers": unshim_blockers,
            "unshim_duration": unshim_duration,
            "unshim_former_cri_sockets": unshim_former_cri_sockets,
            "unshim_decisions": unshim_decisions,
            "unshim_failed": unshim_failed,
            "unshim_members": unshim_members,
            "unshim_node_names": unshim_node_names,
            "unshim_metrics_endpoint": unshim_metrics_endpoint,
            "unshim_monitoring_files": unshim_monitoring_files,
            "unshim_only_planned": unshim_only_planned,
            "unshim_plan_summary": unshim_plan_summary,
            "unshim_plan_text": unshim_plan_text,
            "unshim_refusal": unshim_refusal,
            "unshim_reboot": unshim_reboot,
            "unshim_scanned_nodes": unshim_scanned_nodes,
            "unshim_timeline": unshim_timeline,
            "unshim_verified_for": unshim_verified_for,
        }
