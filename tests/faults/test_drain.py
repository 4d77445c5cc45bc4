"""Faults of a drain: pods that may not, or will not, leave."""

import pytest

BUDGET = """
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: store-never, namespace: shop}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: store}}
"""
# It hears no SIGTERM, and asks for ten minutes.
STUBBORN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: stubborn, namespace: shop, labels: {lab: stubborn}}
spec:
  replicas: 1
  selector: {matchLabels: {app: stubborn}}
  template:
    metadata: {labels: {app: stubborn}}
    spec:
      terminationGracePeriodSeconds: 600
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              preference:
                matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [VICTIM]}]
      containers:
        - name: stubborn
          image: IMAGE
          command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"]
"""
CONTAINER = (
    "docker ps -q --no-trunc --filter label=io.kubernetes.container.name=stubborn "
    "--filter label=io.kubernetes.pod.name=POD"
)


# `make test` has it in tests/story/rolled_back/test_y_stuck_drain.py.
@pytest.mark.fault(19, "a PodDisruptionBudget that never allows")
def test_budget_that_never_allows(fault):
    fault.lab.apply(BUDGET)
    fault.undo(lambda: fault.lab.kubectl("-n", "shop", "delete", "pdb", "store-never", "--ignore-not-found"))
    budget = fault.lab.wait_until(
        lambda: fault.lab.get("pdb", "-n", "shop", "store-never").get("status", {}).get("expectedPods"), "counted"
    )
    assert budget == 1
    pod = fault.lab.get("pod", "-n", "shop", "store-0")["metadata"]["uid"]
    fault.injected("before the run")
    run = fault.migrate(unshim_drain_timeout=15, unshim_gate_timeout=15)
    fault.failed(run, "shop/store-never", "store-0")
    fault.safe("docker")
    assert fault.lab.get("pod", "-n", "shop", "store-0")["metadata"]["uid"] == pod, "the pod was taken away"
    fault.keeps_data()
    fault.remove_cause()
    fault.rerun()


@pytest.mark.fault(20, "a pod that ignores SIGTERM, with a long grace period")
def test_pod_that_ignores_sigterm(fault):
    lab = fault.lab
    lab.apply(
        STUBBORN.replace("VICTIM", fault.victim).replace("IMAGE", f"{lab.registry}:5000/busybox:1.35")
    )  # fmt: skip
    fault.undo(lambda: take_away(lab))
    lab.wait_for_workload()
    fault.owners = lab.owners()
    (pod,) = lab.get("pods", "-n", "shop", "-l", "app=stubborn")["items"]
    assert pod["spec"]["nodeName"] == fault.victim
    name = pod["metadata"]["name"]
    container = fault.on(CONTAINER.replace("POD", name)).strip()
    fault.undo(lambda: fault.on(f"docker kill {container}", check=False))
    fault.injected("before the run")
    run = fault.migrate(unshim_drain_timeout=15)
    fault.failed(run, name, "still terminating", "600 s")
    fault.safe("docker")
    assert fault.on(CONTAINER.replace("POD", name)).strip() == container, "it was killed, and nobody asked for that"
    fault.keeps_data()

    fault.on(f"docker kill {container}")  # it has come to its end
    lab.wait_until(
        lambda: not lab.get("pods", "-n", "shop", "--field-selector", f"metadata.name={name}")["items"], "gone"
    )
    # Another may have come to the node since it is open again; this one hears nothing either.
    take_away(lab)
    fault.owners.pop("Deployment/shop/stubborn")
    fault.rerun()


def take_away(lab):
    """Remove all that is stubborn, without a grace period; nobody makes another pod meanwhile."""
    if lab.get("deployments", "-n", "shop", "-l", "lab=stubborn")["items"]:
        lab.kubectl("-n", "shop", "scale", "deployment", "stubborn", "--replicas=0")
    sets = ("rs", "-n", "shop", "-l", "app=stubborn")
    lab.wait_until(lambda: all(one["spec"]["replicas"] == 0 for one in lab.get(*sets)["items"]), "nobody wants it")
    lab.kubectl("-n", "shop", "delete", "pod", "-l", "app=stubborn", "--force", "--grace-period=0")
    lab.kubectl("-n", "shop", "delete", "deployment", "stubborn", "--ignore-not-found")
    for node in lab.workers:
        lab.on(node, "docker ps -q --filter label=io.kubernetes.container.name=stubborn | xargs -r docker kill", False)
