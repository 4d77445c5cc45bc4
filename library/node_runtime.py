#!/usr/bin/python
# Runs on the controller only (Python 3.11+, delegate_to: localhost).

DOCUMENTATION = r"""
---
module: node_runtime
short_description: Read what a Kubernetes cluster says about a node, or wait until it is Ready on a container runtime
description:
  - With O(state=present), reads the node; fails with the names of the cluster's nodes if there is none of that name.
  - With O(state=ready), waits until the node is Ready on O(runtime), and its own pods run there.
  - Does not believe what may be stale. A static pod counts only when the API shows container IDs of the runtime, and
    O(newer_than) rejects a Ready that was reported before the kubelet was restarted.
  - Sets annotations of the node, after the wait. In check mode it looks once and does not wait.
  - Runs on the controller; use it with C(delegate_to=localhost).
author: unshim contributors
options:
  state:
    description: What to do, see above.
    type: str
    choices: [present, ready]
    default: present
  runtime:
    description: The runtime the node must report.
    type: str
    choices: [containerd, docker]
    default: containerd
  timeout:
    description: Seconds to wait. An API server that is away meanwhile, as on a moving control plane, is waited for.
    type: int
    default: 300
  newer_than:
    description:
      - Unix time of the node's clock. The Ready condition must have been reported after it.
      - A kubelet reports it when it starts, so the moment of its restart is the right value. V(0) means any.
    type: float
    default: 0
  pods_back:
    description: Also wait until every static pod and every pod of a DaemonSet on the node runs on O(runtime).
    type: bool
    default: false
  static_pods_runtime:
    description: Also wait until every static pod on the node shows containers of this runtime; empty means no.
    type: str
    choices: ["", containerd, docker]
    default: ""
  before:
    description: The RV(pods) of an earlier run; a pod that did not run then is not waited for.
    type: dict
  known_as:
    description:
      - The RV(node) of an earlier run. If somebody has deleted the node since, and its kubelet has registered it anew, the new
        one gets the labels, annotations and taints it lacks, and is closed for pods as O(state=ready) found the old one.
      - Only with O(state=ready).
    type: dict
  annotations:
    description: Annotations the node shall have; null as a value removes one.
    type: dict
    default: {}
  api_timeout:
    description:
      - Seconds for which an API server that does not answer is asked again; if left out, 10, or O(timeout) with O(state=ready).
extends_documentation_fragment:
  - unshim.attributes
  - unshim.kubernetes
attributes:
  diff_mode:
    details: Shows the annotations that change.
"""

EXAMPLES = r"""
- name: Is the node known?
  node_runtime:
    node_name: worker-1
  delegate_to: localhost

- name: Wait for it to be Ready on containerd with its own pods
  node_runtime:
    node_name: worker-1
    state: ready
    runtime: containerd
    pods_back: true
    annotations:
      kubeadm.alpha.kubernetes.io/cri-socket: unix:///run/containerd/containerd.sock
  delegate_to: localhost
"""

RETURN = r"""
node:
  description: What the cluster says about the node.
  type: dict
  returned: success
  contains:
    name: {description: Its name., type: str, returned: success}
    uid: {description: The API's identity of it., type: str, returned: success}
    runtime: {description: The runtime it reports., type: str, returned: success, sample: docker}
    runtime_version: {description: That runtime's version., type: str, returned: success, sample: 20.10.24}
    kubelet_version: {description: The kubelet's version., type: str, returned: success, sample: 1.20.2}
    os_image: {description: The operating system., type: str, returned: success}
    addresses: {description: Addresses by type., type: dict, returned: success}
    pod_cidrs: {description: Address ranges of its pods., type: list, elements: str, returned: success}
    labels: {description: Its labels., type: dict, returned: success}
    annotations: {description: Its annotations before this module., type: dict, returned: success}
    taints: {description: Its taints., type: list, elements: dict, returned: success}
    unschedulable: {description: It is cordoned., type: bool, returned: success}
    is_control_plane: {description: It carries a control-plane label., type: bool, returned: success}
    ready: {description: Its Ready condition is True., type: bool, returned: success}
    conditions: {description: Its conditions by type., type: dict, returned: success}
annotations:
  description: The node's annotations before this module changed any; null for one of O(annotations) that was not there.
  type: dict
  returned: success
pods:
  description: The node's pods by name, for O(before).
  type: dict
  returned: success
missing:
  description: What the node does not show yet; empty after a wait that succeeded.
  type: list
  elements: str
  returned: when O(state=ready)
server:
  description: Address of the API server.
  type: str
  returned: success
seconds:
  description: How long the wait took.
  type: float
  returned: success
msg:
  description: What was found, in a sentence.
  type: str
  returned: always
"""

import time
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim import drain, node_gate, registered_anew
from ansible.module_utils.unshim_kube import node_view
from ansible.module_utils.unshim_kube.cordon import change_node
from ansible.module_utils.unshim_kube.errors import KubeError, NoSuchNode, Unreachable
from ansible.module_utils.unshim_kube.module_run import KUBERNETES_OPTIONS, run

ARGUMENTS = dict(
    KUBERNETES_OPTIONS,
    state={"type": "str", "choices": ["present", "ready"], "default": "present"},
    runtime={"type": "str", "choices": ["containerd", "docker"], "default": "containerd"},
    timeout={"type": "int", "default": 300},
    newer_than={"type": "float", "default": 0.0},
    pods_back={"type": "bool", "default": False},
    static_pods_runtime={"type": "str", "choices": ["", "containerd", "docker"], "default": ""},
    before={"type": "dict"},
    known_as={"type": "dict"},
    annotations={"type": "dict", "default": {}},
)
PAUSE = 1.0  # seconds between two tries, where the node is gone or the API away


def act(module, api):
    began = time.monotonic()
    params = module.params
    reasons = []
    if params["state"] == "ready":
        node, pods, reasons = wait_ready(module, api, began)
    else:
        node = node_view.get_node(api, params["node_name"])
        pods = node_view.pods_on(api, params["node_name"])
    changed, diff, before = annotate(module, api, params["annotations"]) if params["annotations"] else (False, None, {})
    facts = node_gate.summarize(node)
    result = {
        "changed": changed,
        "node": facts,
        "annotations": dict(facts["annotations"], **before),
        "pods": node_gate.snapshot(pods),
        "server": api.server,
        "seconds": round(time.monotonic() - began, 1),
        "msg": "Node %s runs %s %s%s."
        % (facts["name"], facts["runtime"], facts["runtime_version"], "" if facts["ready"] else " and is not Ready"),
    }
    if params["state"] == "ready":
        result["missing"] = reasons
    if reasons:
        result["msg"] = "Node %s is not as wanted now: %s." % (params["node_name"], "; ".join(reasons))
    if diff:
        result["diff"] = diff
    return result


def wait_ready(module, api, began):
    """Return the node, its pods and what is missing; only in check mode can something be missing."""
    params = module.params
    name = params["node_name"]
    want = node_gate.Want(
        runtime=params["runtime"],
        newer_than=params["newer_than"],
        static_pods_runtime=params["static_pods_runtime"],
        pods_back=params["pods_back"],
    )
    deadline = began + params["timeout"]
    if module.check_mode:
        node = node_view.get_node(api, name)
        pods = node_view.pods_on(api, name)
        return node, pods, node_gate.missing(node, pods, want, params["before"])
    reasons = []
    while True:
        try:
            with node_view.NodeAndPods(api, name, retry_for=max(0.0, deadline - time.monotonic())) as seen:
                while seen.is_current:
                    node, pods = seen.node(), seen.pods()
                    give_back(module, api, node)
                    reasons = node_gate.missing(node, pods, want, params["before"])
                    if not reasons:
                        return node, pods, reasons
                    if time.monotonic() + PAUSE >= deadline:
                        break
                    seen.wait(deadline - PAUSE - time.monotonic())
        except NoSuchNode:
            reasons = ["somebody deleted it from the API, and its kubelet has not registered it anew"]
        except Unreachable as error:
            reasons = ["the API server is away (%s)" % error.message.rstrip(".")]
        if time.monotonic() + PAUSE >= deadline:
            break
        time.sleep(PAUSE)
    raise KubeError(
        "Node %s is not as wanted after %d s (Ready on %s): %s. See the kubelet's log on the node (journalctl -u kubelet)."
        % (name, params["timeout"], params["runtime"], "; ".join(reasons)),
        {"missing": reasons},
    )


def give_back(module, api, node):
    """Give a node that was registered anew what it had, and close it at once: it came open for pods."""
    known = module.params["known_as"] or {}
    if module.check_mode or not registered_anew.is_another(node, known):
        return
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def decide(node):
        lost = registered_anew.patch(node, known)
        closing, _was = drain.cordon_patch(registered_anew.patched(node, lost), "unshim", "registered anew", at)
        return registered_anew.merged(lost, closing) or None, None

    _node, changed, _none = change_node(api, module.params["node_name"], decide)
    if not changed:
        return
    message = (
        "Somebody deleted node %s from the API during its move, and its kubelet registered it anew. It has its labels, "
        "annotations and taints again." % module.params["node_name"]
    )
    ranges = node_gate.pod_cidrs(node)
    if known.get("pod_cidrs") and ranges and ranges != known["pod_cidrs"]:
        message += " Its pods' addresses are of %s now, not of %s: see that the network add-on follows." % (
            ", ".join(ranges),
            ", ".join(known["pod_cidrs"]),
        )
    module.warn(message)


def annotate(module, api, wanted):
    """Set annotations; return if that changed the node, the diff, and the wanted ones' values before."""
    before = {}

    def decide(node):
        present = node["metadata"].get("annotations") or {}
        before.clear()
        before.update((key, present.get(key)) for key in wanted)
        patch = {key: value for key, value in wanted.items() if present.get(key) != value}
        return ({"metadata": {"annotations": patch}} if patch else None), None

    node, changed, _none = change_node(api, module.params["node_name"], decide, dry_run=module.check_mode)
    header = "annotations of node " + node["metadata"]["name"]
    diff = {"before_header": header, "after_header": header, "before": dict(before), "after": dict(wanted)}
    return changed, diff if changed else None, before


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wait = module.params["timeout"] if module.params["state"] == "ready" else 10
    wrong = [
        key for key, value in (module.params["annotations"] or {}).items() if not isinstance(value, (str, type(None)))
    ]
    if wrong:
        module.fail_json(
            msg="annotations: the values of %s must be strings, or null to remove the annotation."
            % ", ".join(sorted(wrong))
        )
    run(module, act, api_timeout=wait)


if __name__ == "__main__":
    main()
