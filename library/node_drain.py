#!/usr/bin/python
# Runs on the controller only (Python 3.11+, delegate_to: localhost).

DOCUMENTATION = r"""
---
module: node_drain
short_description: Cordon, drain and uncordon a Kubernetes node over its API
description:
  - Moves the pods of a node away by eviction, never by deletion, so every PodDisruptionBudget is honoured.
  - All pods are evicted at once. A refused eviction is tried again until O(timeout); then the module names the budget and
    the pods that held it, and leaves the node cordoned.
  - A pod that may not be evicted is found before the node is cordoned, and all such pods are named in one message.
  - Notes on the node, in the annotation C(unshim.io/cordoned), that it was cordoned here, and if it was cordoned before;
    a node that was cordoned before stays so when this module uncordons it.
  - Runs on the controller; use it with C(delegate_to=localhost).
author: unshim contributors
options:
  state:
    description:
      - V(drained) cordons the node and evicts its pods; static pods and those of DaemonSets stay.
      - V(cordoned) only keeps new pods away.
      - V(uncordoned) takes back what V(drained) or V(cordoned) did.
    type: str
    choices: [drained, cordoned, uncordoned]
    default: drained
  timeout:
    description: Seconds the evictions may take.
    type: int
    default: 600
  grace_period:
    description: Seconds a pod has to stop; V(-1) means its own.
    type: int
    default: -1
  force:
    description: Evict pods that no controller would create again.
    type: bool
    default: false
  delete_emptydir_data:
    description: Evict pods with an emptyDir volume, whose data is lost with them.
    type: bool
    default: false
  allow_no_room:
    description: Drain although no other node can take the pods.
    type: bool
    default: false
  may_be_gone:
    description:
      - Whether V(drained) and V(cordoned) are content with a node that somebody deleted from the API. Its kubelet registers
        it anew when it starts.
    type: bool
    default: false
  force_uncordon:
    description: Uncordon a node that was cordoned by somebody else, too.
    type: bool
    default: false
  reason:
    description: Why the node is cordoned, for whoever reads the annotation.
    type: str
    default: move to containerd
extends_documentation_fragment:
  - unshim.attributes
  - unshim.kubernetes
attributes:
  diff_mode:
    details: Shows the cordon and the pods that leave.
  idempotent:
    details: A node that is drained by unshim already, and has nothing to evict, is not changed.
"""

EXAMPLES = r"""
- name: Drain a node before its runtime is changed
  node_drain:
    node_name: worker-1
    timeout: 900
  delegate_to: localhost

- name: Let pods come to it again, unless it was cordoned before
  node_drain:
    node_name: worker-1
    state: uncordoned
  delegate_to: localhost
"""

RETURN = r"""
gone:
  description: The cluster has no such node.
  type: bool
  returned: with O(may_be_gone)
  sample: false
was_unschedulable:
  description: The node was cordoned before unshim cordoned it.
  type: bool
  returned: success
  sample: false
decisions:
  description: What was decided for each pod of the node.
  type: list
  elements: dict
  returned: when O(state=drained)
  sample: [{pod: shop/web-5d8f-x2x, action: evict, reason: ReplicaSet/web-5d8f creates it again}]
evicted:
  description: Pods that left the node.
  type: list
  elements: str
  returned: when O(state=drained)
  sample: [shop/web-5d8f-x2x]
stayed:
  description: Pods that stay by rule.
  type: list
  elements: str
  returned: when O(state=drained)
  sample: [kube-system/kube-proxy-7xk2p]
refused:
  description: By pod, how often its eviction was refused and the last reason.
  type: dict
  returned: when O(state=drained)
  sample: {shop/web-5d8f-x2x: {times: 3, reason: The disruption budget web needs 2 healthy pods and has 2 currently}}
seconds:
  description: How long it took.
  type: float
  returned: success
  sample: 31.2
msg:
  description: What was done, in a sentence.
  type: str
  returned: always
  sample: Node worker-1 is drained; 4 pods left in 31 s.
"""

import getpass
import socket
import time
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim import drain
from ansible.module_utils.unshim_kube import eviction, node_view
from ansible.module_utils.unshim_kube.cordon import change_node
from ansible.module_utils.unshim_kube.errors import KubeError, NoSuchNode, Unreachable
from ansible.module_utils.unshim_kube.module_run import KUBERNETES_OPTIONS, run

ARGUMENTS = dict(
    KUBERNETES_OPTIONS,
    state={"type": "str", "choices": ["drained", "cordoned", "uncordoned"], "default": "drained"},
    timeout={"type": "int", "default": 600},
    grace_period={"type": "int", "default": -1},
    force={"type": "bool", "default": False},
    delete_emptydir_data={"type": "bool", "default": False},
    allow_no_room={"type": "bool", "default": False},
    may_be_gone={"type": "bool", "default": False},
    force_uncordon={"type": "bool", "default": False},
    reason={"type": "str", "default": "move to containerd"},
)


def act(module, api):
    began = time.monotonic()
    state = module.params["state"]
    if state == "uncordoned":
        result = uncordon(module, api)
    else:
        try:
            result = cordon_only(module, api) if state == "cordoned" else drain_node(module, api)
        except NoSuchNode as error:
            if not module.params["may_be_gone"]:
                raise
            result = {"changed": False, "gone": True, "msg": "There is nothing to close: " + error.message}
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def cordon_only(module, api):
    node, changed, was = cordon(module, api)
    said = "Node %s is cordoned." % module.params["node_name"]
    return {"changed": changed, "was_unschedulable": was, "diff": cordon_diff(node, True), "msg": said}


def cordon(module, api):
    by = "unshim (%s@%s)" % (user_name(), socket.gethostname())
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def decide(node):
        return drain.cordon_patch(node, by, module.params["reason"], at)

    return change_node(api, module.params["node_name"], decide, dry_run=module.check_mode)


def uncordon(module, api):
    answers = {}

    def decide(node):
        note = drain.read_note(node)
        answers["was_unschedulable"] = bool(note and note["was_unschedulable"])
        patch, answers["msg"] = drain.uncordon_patch(node, module.params["force_uncordon"])
        answers["opens"] = bool(patch and "spec" in patch)
        return patch, None

    node, changed, _none = change_node(api, module.params["node_name"], decide, dry_run=module.check_mode)
    stays = bool(node.get("spec", {}).get("unschedulable")) and not answers.pop("opens")
    return dict(answers, changed=changed, diff=cordon_diff(node, stays))


def drain_node(module, api):
    name, check = module.params["node_name"], module.check_mode
    deadline = time.monotonic() + module.params["timeout"]
    node_view.get_node(api, name)
    budget_version = node_view.budget_version(api)
    eviction_version = node_view.eviction_version(api)

    pods = node_view.pods_on(api, name)
    decisions = decide_pods(module, api, pods, budget_version, warn=True)
    refuse(module, name, decisions)
    refuse_without_room(module, api, name, pods, decisions)
    node, changed, was = cordon(module, api)
    leaving = [d for d in decisions if d.action in (drain.EVICT, drain.AWAIT)]
    result = {
        "changed": changed or bool(leaving),
        "was_unschedulable": was,
        "decisions": [{"pod": d.pod, "action": d.action, "reason": d.reason} for d in decisions],
        "evicted": [d.pod for d in leaving],
        "stayed": [d.pod for d in decisions if d.action == drain.SKIP],
        "refused": {},
        "diff": cordon_diff(
            node, True, [d.pod for d in decisions], [d.pod for d in decisions if d.action == drain.SKIP]
        ),
    }
    if check:
        result["msg"] = "Node %s would be drained; %s would leave." % (name, count(leaving))
        return result

    began = time.monotonic()
    evicted, refused = [], {}
    with eviction.PodsOfNode(api, name) as present:
        # The second round is for pods the scheduler bound just before the cordon; one that a controller pins to this
        # node would come back for ever.
        for round_number in (1, 2):
            pods = list(present.objects().values())
            decisions = decide_pods(module, api, pods, budget_version)
            refuse(module, name, decisions, cordoned=True)
            leaving = [
                eviction.Leaving(d.pod, d.uid, accepted=d.action == drain.AWAIT)
                for d in decisions
                if d.action in (drain.EVICT, drain.AWAIT)
            ]
            if not leaving or round_number == 2 and not {p.uid for p in leaving} - {p.uid for p in evicted}:
                break
            left = eviction.empty(api, present, leaving, eviction_version, module.params["grace_period"], deadline)
            for pod in leaving:
                if pod.refusals:
                    refused[pod.name] = {"times": pod.refusals, "reason": pod.last_refusal}
            evicted += [pod for pod in leaving if pod.gone_after is not None]
            if left:
                raise stuck(module, api, name, left, present.objects(), evicted, refused, budget_version)
    result.update(
        evicted=sorted({pod.name for pod in evicted}),
        changed=changed or bool(evicted),
        refused=refused,
        msg="Node %s is drained; %s left in %.0f s." % (name, count(evicted), time.monotonic() - began),
    )
    return result


def decide_pods(module, api, pods, budget_version, warn=False):
    name = module.params["node_name"]
    options = drain.Options(force=module.params["force"], delete_emptydir_data=module.params["delete_emptydir_data"])
    decisions = drain.classify(pods, name, options)
    going = {d.pod for d in decisions if d.action == drain.EVICT}
    if not going:
        return decisions
    found = read_budgets(api, [pod for pod in pods if drain.pod_name(pod) in going], budget_version)
    for budget in found if warn else ():
        if budget.never_allows:
            module.warn(
                "PodDisruptionBudget %s never allows a disruption as it is written (%d of %d pods must be healthy): the drain waits "
                "for %s until its timeout." % (budget.name, budget.desired, budget.expected, ", ".join(budget.pods))
            )
    return drain.block_double_budgets(decisions, found)


def read_budgets(api, pods, budget_version):
    return drain.budgets(node_view.list_budgets(api, budget_version), pods, budget_version)


def refuse(module, name, decisions, cordoned=False):
    blocked = [d for d in decisions if d.action == drain.BLOCK]
    if not blocked:
        return
    listed = ", ".join("%s (%s)" % (d.pod, d.reason) for d in blocked)
    now = "Such pods came while it was cordoned; it stays cordoned." if cordoned else "Nothing was changed."
    raise KubeError(
        "Node %s cannot be drained, since %s may not be evicted: %s. %s" % (name, count(blocked), listed, now),
        {"decisions": [{"pod": d.pod, "action": d.action, "reason": d.reason} for d in decisions]},
    )


def refuse_without_room(module, api, name, pods, decisions):
    going = {d.pod for d in decisions if d.action == drain.EVICT}
    if module.params["allow_no_room"] or not going:
        return
    why = drain.room_to_reschedule(
        node_view.list_nodes(api), name, [pod for pod in pods if drain.pod_name(pod) in going]
    )
    if why:
        raise KubeError(
            "Node %s was not drained: %s. Nothing was changed. Make room, or accept that these pods do not run meanwhile with "
            "unshim_drain_allow_no_room (allow_no_room: true)." % (name, why)
        )


def stuck(module, api, name, left, present, evicted, refused, budget_version):
    try:
        api.get("/version", retry_for=0)
    except Unreachable as error:
        return KubeError(
            "Node %s is not drained after %d s, and what holds it cannot be seen: %s %s had not left when the API server was last "
            "heard. The node stays cordoned; run again once the API server answers."
            % (name, module.params["timeout"], error.message, ", ".join(sorted(pod.name for pod in left))),
            {"changed": True, "evicted": sorted(pod.name for pod in evicted), "left": sorted(pod.name for pod in left)},
        )
    pods = [present[pod.uid] for pod in left if pod.uid in present]
    try:
        found = read_budgets(api, pods, budget_version)
    except KubeError:
        found = []
    refusals = {pod.name: pod.refusal for pod in left if pod.refusal}
    message = drain.explain_stuck(name, module.params["timeout"], pods, found, refusals)
    return KubeError(
        message,
        {
            "changed": True,
            "evicted": sorted(pod.name for pod in evicted),
            "left": sorted(pod.name for pod in left),
            "refused": refused,
            "budgets": [
                {"name": b.name, "allowed": b.allowed, "never_allows": b.never_allows, "pods": list(b.pods)}
                for b in found
            ],
        },
    )


def cordon_diff(node, closed, pods_before=None, pods_after=None):
    def view(unschedulable, pods):
        shown = {"unschedulable": unschedulable}
        if pods is not None:
            shown["pods"] = pods
        return shown

    header = "node " + node["metadata"]["name"]
    return {
        "before_header": header,
        "after_header": header,
        "before": view(bool(node.get("spec", {}).get("unschedulable")), pods_before),
        "after": view(closed, pods_after),
    }


def count(things):
    return "%d pod%s" % (len(things), "" if len(things) == 1 else "s")


def user_name():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a passwd entry, as in some containers
        return "unknown"


def main():
    run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
