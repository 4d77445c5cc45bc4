#!/usr/bin/python
"""Ansible module: stop and remove the pods a runtime has, while no kubelet looks after them."""

DOCUMENTATION = r"""
---
module: cri_pods
short_description: Stop and remove every pod of a CRI runtime
description:
  - Stops the containers of every pod with their pod's grace period, all at once, then stops the pod sandboxes, which
    takes their network down in an orderly way (CNI DEL), and removes them.
  - Meant for a node whose kubelet is stopped, on its way from this runtime to another. A running kubelet would start
    the pods again, so the module refuses while O(kubelet_unit) is active.
author: unshim contributors
options:
  state:
    description: V(absent) leaves no pod behind.
    type: str
    choices: [absent]
    default: absent
  endpoint:
    description: The runtime's CRI endpoint. Where nobody listens and no pod's shim runs, there are none.
    type: str
    default: unix:///run/containerd/containerd.sock
  api:
    description: CRI versions to try, in order.
    type: list
    elements: str
    choices: [v1, v1alpha2]
    default: [v1, v1alpha2]
  grace:
    description: Most seconds a container gets to end by itself, whatever its pod allows.
    type: int
    default: 30
  timeout:
    description: Seconds for each request to the runtime, beside the grace period.
    type: float
    default: 60
  kubelet_unit:
    description: The unit that must not be active.
    type: str
    default: kubelet.service
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
"""

EXAMPLES = r"""
- name: Leave no pod on containerd before the node goes back to Docker
  cri_pods:
    state: absent
    api: [v1alpha2]
"""

RETURN = r"""
pods:
  description: The pods that were removed, as namespace/name.
  returned: success
  type: list
  elements: str
  sample: [kube-system/kube-proxy-x7k2p]
stopped_containers:
  description: How many running containers were stopped.
  returned: success
  type: int
  sample: 1
"""

import os
import threading

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import cri, grpc_call, module_run, systemd
from ansible.module_utils.unshim_node.errors import NodeError

ARGUMENTS = {
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "api": {"type": "list", "elements": "str", "choices": list(cri.APIS), "default": list(cri.APIS)},
    "grace": {"type": "int", "default": 30},
    "timeout": {"type": "float", "default": 60},
    "kubelet_unit": {"type": "str", "default": "kubelet.service"},
}
NOT_FOUND = grpc_call.STATUS_NAMES.index("NOT_FOUND")


def in_parallel(tasks):
    """Call every (description, function) at the same time and return the failures as sentences.

    What is gone already is no failure.
    """
    failures = []

    def call(description, function):
        try:
            function()
        except cri.CriError as error:
            if error.status != NOT_FOUND:
                failures.append("%s: %s" % (description, error.message))

    threads = [threading.Thread(target=call, args=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(failures)


def client_for(params):
    """Return a client in the first version that is served, or None if nobody listens."""
    failure = None
    for api in params["api"]:
        client = cri.Client(params["endpoint"], api, params["timeout"])
        try:
            client.version()
            return client
        except cri.CriError as error:
            if error.unreachable:
                return None
            failure = error
    raise failure


def shims():
    """Return the process ids of containerd's shims for Kubernetes' pods: they outlive containerd."""
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdecimal():
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as stream:
                    words = stream.read().split(b"\0")
            except OSError:
                continue  # it has just ended
            if os.path.basename(words[0]).startswith(b"containerd-shim") and b"k8s.io" in words:
                found.append(int(pid))
    return sorted(found)


def remove_pods(client, sandboxes, grace):
    """Remove the sandboxes; returns how many containers were stopped first."""
    names = {sandbox.id: "%s/%s" % (sandbox.namespace, sandbox.name) for sandbox in sandboxes}
    running = [one for one in client.containers() if one.state == "running" and one.pod_sandbox_id in names]
    # A container that cannot be stopped in peace is killed with its sandbox: failures here are not the end.
    in_parallel(
        [
            (
                one.name,
                lambda one=one: client.stop_container(one.id, grace if one.grace is None else min(one.grace, grace)),
            )
            for one in running
        ]
    )
    failures = in_parallel([(names[one.id], lambda one=one: client.stop_pod_sandbox(one.id)) for one in sandboxes])
    if not failures:
        removals = [(names[one.id], lambda one=one: client.remove_pod_sandbox(one.id)) for one in sandboxes]
        failures = in_parallel(removals)
    if failures:
        raise NodeError(
            "%d of %d pods could not be removed from %s: %s. Run again; if it stays so, see `journalctl -u containerd`."
            % (len(failures), len(sandboxes), client.socket_path, "; ".join(failures)),
            {"failures": failures},
        )
    return len(running)


def act(module):
    outcome = {"changed": False, "pods": [], "stopped_containers": 0}
    client = client_for(module.params)
    if client is None:
        left = shims()
        if left:
            raise NodeError(
                "Nobody listens on %s, but pods still run there (containerd-shim processes %s). Start containerd "
                "(`systemctl start containerd`) and run again."
                % (module.params["endpoint"], ", ".join(str(pid) for pid in left))
            )
        return outcome
    sandboxes = client.pod_sandboxes()
    if not sandboxes:
        return outcome
    if not module.check_mode:
        if systemd.active(module.params["kubelet_unit"]):
            raise NodeError(
                "The unit %s is active and would start the pods again; nothing was removed. Stop it first "
                "(kubelet_runtime with state stopped)." % module.params["kubelet_unit"]
            )
        outcome["stopped_containers"] = remove_pods(client, sandboxes, module.params["grace"])
    outcome["changed"] = True
    outcome["pods"] = sorted("%s/%s" % (sandbox.namespace, sandbox.name) for sandbox in sandboxes)
    outcome["diff"] = {
        "before": "".join(name + "\n" for name in outcome["pods"]),
        "after": "",
        "before_header": "pods on " + client.socket_path,
        "after_header": "pods on " + client.socket_path,
    }
    return outcome


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
