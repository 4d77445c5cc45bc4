#!/usr/bin/python
# Runs on the controller only (Python 3.11+, delegate_to: localhost).

DOCUMENTATION = r"""
---
module: node_canary
short_description: Prove with a pod that a Kubernetes node works
description:
  - Starts a small pod on the node, cordoned or not, and tries what pods need; each proof is a gate with its evidence.
  - The gates are C(runs), C(runtime) (the container is O(runtime)'s), C(pod_ip), C(logs), C(exec), C(cgroup) (below
    kubepods), C(limits) (the memory limit is in force), C(api) (the API server is reached over TCP), C(dns),
    C(deleted) and, with O(before), C(pods_as_before).
  - A gate that cannot be tried is skipped and says why; a gate that fails fails the module, after all were tried.
  - The pod is always deleted, and one that an interrupted run left behind is removed first. It stops by itself after 15 minutes.
  - Runs on the controller; use it with C(delegate_to=localhost).
author: unshim contributors
options:
  state:
    description:
      - V(passed) runs the pod.
      - V(snapshot) runs none and returns the node's pods, for O(before) of a later run.
    type: str
    choices: [passed, snapshot]
    default: passed
  image:
    description: Image of the pod; best one that is on the node already. Required with O(state=passed).
    type: str
  has_shell:
    description: The image has C(/bin/sh) and C(sleep). Without a shell, as in the sandbox image, only some gates can be tried.
    type: bool
    default: true
  command:
    description: Command instead of the built-in one; it must print the variable E(UNSHIM_TOKEN) and keep running.
    type: list
    elements: str
    default: []
  image_pull_policy:
    description: When the kubelet pulls the image.
    type: str
    choices: [IfNotPresent, Never, Always]
    default: IfNotPresent
  namespace:
    description: Namespace of the pod.
    type: str
    default: default
  runtime:
    description: The runtime whose container it must be.
    type: str
    choices: [containerd, docker]
    default: containerd
  timeout:
    description: Seconds the pod may take to run.
    type: int
    default: 120
  network_timeout:
    description: Seconds for which reaching the API server and resolving a name are tried again.
    type: int
    default: 60
  delete_timeout:
    description: Seconds the pod may take to disappear. A kubelet with much to do finishes pods late.
    type: int
    default: 120
  before:
    description: The RV(pods) of an earlier run on this node, to be compared with its pods now.
    type: dict
extends_documentation_fragment:
  - unshim.attributes
  - unshim.kubernetes
attributes:
  check_mode:
    details: It then reads the cluster and starts no pod.
  diff_mode:
    support: none
    details: Nothing is there to compare, since nothing stays.
  idempotent:
    details: Leaves nothing behind; reports a change only if it removed a pod of an earlier run.
"""

EXAMPLES = r"""
- name: Prove that the node works
  node_canary:
    node_name: worker-1
    image: docker.io/library/busybox:1.36
  delegate_to: localhost

- name: Keep what runs on a node
  node_canary:
    node_name: worker-1
    state: snapshot
  register: pods_before
  delegate_to: localhost
"""

RETURN = r"""
gates:
  description: Each proof; C(passed) is null where it was skipped.
  type: list
  elements: dict
  returned: when O(state=passed)
  sample: [{name: exec, passed: true, evidence: echo came back in 0.1 s}]
gates_failed:
  description: Names of the gates that failed.
  type: list
  elements: str
  returned: when O(state=passed)
gates_skipped:
  description: Names of the gates that could not be tried.
  type: list
  elements: str
  returned: when O(state=passed)
removed_leftovers:
  description: Canary pods of an interrupted run that were removed.
  type: list
  elements: str
  returned: when O(state=passed)
pods:
  description: The node's pods by name, with owner, phase, ready, restarts and container IDs.
  type: dict
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
msg:
  description: What was found, in a sentence.
  type: str
  returned: always
"""

import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim import canary_pod, node_gate
from ansible.module_utils.unshim.node_gate import Gate
from ansible.module_utils.unshim_kube import node_view, services
from ansible.module_utils.unshim_kube.canary import Canary, remove_leftovers, repeat
from ansible.module_utils.unshim_kube.errors import KubeError
from ansible.module_utils.unshim_kube.module_run import KUBERNETES_OPTIONS, run

ARGUMENTS = dict(
    KUBERNETES_OPTIONS,
    state={"type": "str", "choices": ["passed", "snapshot"], "default": "passed"},
    image={"type": "str"},
    has_shell={"type": "bool", "default": True},
    command={"type": "list", "elements": "str", "default": []},
    image_pull_policy={
        "type": "str",
        "choices": ["IfNotPresent", "Never", "Always"],
        "default": "IfNotPresent",
    },
    namespace={"type": "str", "default": "default"},
    runtime={"type": "str", "choices": ["containerd", "docker"], "default": "containerd"},
    timeout={"type": "int", "default": 120},
    network_timeout={"type": "int", "default": 60},
    delete_timeout={"type": "int", "default": 120},
    before={"type": "dict"},
)
NO_SHELL = "the image has no shell; name one that has with unshim_canary_image"


def act(module, api):
    began = time.monotonic()
    params = module.params
    name = params["node_name"]
    node = node_view.get_node(api, name)
    result = {"changed": False}
    if params["state"] == "snapshot":
        result["msg"] = "The pods of node %s were read." % name
    elif module.check_mode:
        result.update(gates=[], gates_failed=[], gates_skipped=[], removed_leftovers=[])
        result["msg"] = "A canary pod of %s would be tried on node %s." % (params["image"], name)
    else:
        result["removed_leftovers"] = remove_leftovers(api, params["namespace"], name, canary_pod.SELECTOR)
        result["changed"] = bool(result["removed_leftovers"])
        gates = try_gates(module, api, node)
        result["gates"] = [{"name": gate.name, "passed": gate.passed, "evidence": gate.evidence} for gate in gates]
        result["gates_failed"] = [gate.name for gate in gates if gate.passed is False]
        result["gates_skipped"] = [gate.name for gate in gates if gate.passed is None]
        if result["gates_failed"]:
            told = "; ".join("%s: %s" % (gate.name, gate.evidence) for gate in gates if gate.passed is False)
            raise KubeError("The canary pod on node %s did not pass. %s" % (name, told), result)
        result["msg"] = "The canary pod on node %s passed %d gates%s." % (
            name,
            len(gates) - len(result["gates_skipped"]),
            ", skipped %s" % ", ".join(result["gates_skipped"]) if result["gates_skipped"] else "",
        )
    result["pods"] = node_gate.snapshot(node_view.pods_on(api, name))
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def try_gates(module, api, node):
    params = module.params
    manifest = canary_pod.manifest(
        "unshim-canary-" + secrets.token_hex(4),
        params["namespace"],
        params["node_name"],
        params["image"],
        "unshim-token-" + secrets.token_hex(8),
        has_shell=params["has_shell"],
        command=params["command"],
        pull_policy=params["image_pull_policy"],
    )
    token = manifest["spec"]["containers"][0]["env"][0]["value"]
    gates = []
    with Canary(api, manifest, params["delete_timeout"]) as canary:
        pod = gate_runs(canary, params["timeout"], gates)
        if pod is not None:
            gates.append(canary_pod.runtime_gate(canary_pod.container_id(pod), params["runtime"]))
            gates.append(gate_address(api, pod, node))
            if params["has_shell"]:
                gates += shell_gates(module, api, canary, token)
            else:
                gates += [Gate(name, None, NO_SHELL) for name in ("logs", "exec", "cgroup", "limits", "api", "dns")]
        gates.append(gate_deleted(canary, params["delete_timeout"]))
    if params["before"]:
        now = node_gate.snapshot(node_view.pods_on(api, params["node_name"]))
        lost = node_gate.compare(params["before"], now, params["runtime"])
        gates.append(
            Gate("pods_as_before", not lost, "; ".join(lost) or "every static and DaemonSet pod that ran before runs")
        )
    return gates


def gate_runs(canary, timeout, gates):
    """Wait until the pod runs; add the gate and return the pod, or None if it does not."""
    began = time.monotonic()
    pod, hopeless = canary.wait(canary_pod.is_running, canary_pod.hopeless, timeout)
    if canary_pod.is_running(pod):
        gates.append(Gate("runs", True, "running after %.1f s" % (time.monotonic() - began)))
        return pod
    why = hopeless or "not running after %d s: %s" % (timeout, canary_pod.waiting_for(pod))
    events = canary.events()
    gates.append(Gate("runs", False, why + (" (events: %s)" % "; ".join(events) if events else "")))
    return None


def gate_address(api, pod, node):
    address = pod["status"].get("podIP") or ""
    ranges = node_gate.pod_cidrs(node)
    gate = node_gate.address_gate(address, node, [], [])
    if gate.passed or not ranges:
        return gate
    # Only an address that looks wrong is worth reading the whole cluster for.
    return node_gate.address_gate(address, node, api.list_objects("/api/v1/pods"), node_view.list_nodes(api))


def shell_gates(module, api, canary, token):
    """The gates that need a shell in the image; one that cannot exec spares the rest."""
    wait = module.params["network_timeout"]

    def log_line():
        log = canary.log(canary_pod.CONTAINER)
        return (
            token in log,
            "its log line was read back"
            if token in log
            else "its log does not have the line it printed: %r" % log[-200:],
        )

    def echo():
        began = time.monotonic()
        done = shell(canary, 'echo "$0"', token)
        passed = done.stdout.strip() == token
        told = "echo came back in %.1f s" % (time.monotonic() - began)
        return passed, told if passed else "echo printed %r %r (exit code %s)" % (
            done.stdout[:100],
            done.stderr[:200],
            done.exit_code,
        )

    gates = [Gate("logs", *repeat(log_line, 15)), Gate("exec", *repeat(echo, 15))]
    if not gates[-1].passed:
        return gates + [Gate(name, None, "exec does not work") for name in ("cgroup", "limits", "api", "dns")]
    return gates + at_once(
        lambda: gate_cgroup(canary),
        lambda: canary_pod.limit_gate(shell(canary, canary_pod.MEMORY_SCRIPT).stdout),
        lambda: gate_api(api, canary, wait),
        lambda: gate_dns(api, canary, wait),
    )


def at_once(*tries):
    """Return the gates in their order; none needs another, and each is a command or several in the pod."""
    pool = ThreadPoolExecutor(max_workers=len(tries))
    try:
        return [tried.result() for tried in [pool.submit(one) for one in tries]]
    finally:
        # Whoever interrupts waits for the pod's end only, not for commands in it.
        pool.shutdown(wait=False, cancel_futures=True)


def gate_cgroup(canary):
    done = shell(canary, "cat /proc/1/cgroup")
    return node_gate.cgroup_gate(done.stdout or done.stderr)


def gate_api(api, canary, wait):
    service = services.api_service(api)
    if service is None:
        return Gate("api", None, "the service default/kubernetes cannot be read")
    tools = []

    def connect(address, port):
        tool, answer = canary_pod.tool_answer(shell(canary, canary_pod.CONNECT_SCRIPT, address, str(port)).stdout)
        tools.append(tool)
        where = "%s port %d" % (address, port)
        if not tool:
            return True, ""
        return answer == "connected", ("%s reached %s" if answer == "connected" else "%s could not reach %s") % (
            tool,
            where,
        )

    strict = services.has_kube_proxy(api)
    passed, evidence = repeat(lambda: connect(*service), wait if strict else 5)
    if tools and not tools[-1]:
        return Gate("api", None, "the image has none of nc, bash and curl")
    if passed:
        return Gate("api", True, evidence + ", the service address")
    if strict:
        return Gate("api", False, evidence + ", the service default/kubernetes, though kube-proxy runs")
    for endpoint in services.api_endpoints(api):
        reached, evidence = repeat(lambda endpoint=endpoint: connect(*endpoint), wait)
        if reached:
            return Gate(
                "api",
                True,
                evidence + " directly; service addresses were not tried in earnest, the cluster runs no kube-proxy",
            )
    return Gate("api", False, evidence)


def gate_dns(api, canary, wait):
    service = services.dns_service(api)
    if service is None:
        return Gate("dns", None, "the cluster has no DNS service (label k8s-app=kube-dns)")
    if not service[1]:
        return Gate("dns", None, "no pod of the DNS service %s is ready" % service[0])
    name = canary_pod.service_name(shell(canary, "cat /etc/resolv.conf").stdout)
    address = services.api_service(api)
    tools = []

    def resolve():
        tool, answer = canary_pod.tool_answer(shell(canary, canary_pod.RESOLVE_SCRIPT, name).stdout)
        tools.append(tool)
        # The exit code alone is not enough: some images' nslookup fails where only the IPv6 address is missing.
        resolved = address[0] in answer.split() if address else answer.endswith("resolved")
        if not tool or resolved:
            return True, "%s resolved %s" % (tool, name)
        return False, "%s could not resolve %s: %s" % (tool, name, " ".join(answer.split())[-200:])

    passed, evidence = repeat(resolve, wait)
    if tools and not tools[-1]:
        return Gate("dns", None, "the image has neither nslookup nor getent")
    return Gate("dns", passed, evidence)


def gate_deleted(canary, timeout):
    seconds = canary.delete()
    if seconds is None:
        return Gate("deleted", False, canary_pod.why_not_deleted(canary.last, timeout))
    return Gate("deleted", True, "gone after %.1f s" % seconds)


def shell(canary, script, *arguments):
    return canary.run(canary_pod.CONTAINER, "/bin/sh", "-c", script, *arguments)


def stop_on_signal(number, _frame):
    # Not an Exception: nothing may take it for a failed try. The way out deletes the pod.
    raise KeyboardInterrupt("signal %d" % number)


def main():
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "passed", ["image"])],
        supports_check_mode=True,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop_on_signal)
    run(module, act)


if __name__ == "__main__":
    main()
