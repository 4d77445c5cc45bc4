"""Watch a cluster during a story and write down what may never be: too many closed nodes, a disruption budget broken.

Runs on the control-plane node in the background, standard library only, and outlives outages of the API server. The log
has one JSON object a line, each with "time" (Unix seconds) and "kind":

- ``nodes``: which nodes are closed for new pods ("unschedulable"), each time that changes;
- ``eviction``: a healthy pod began to leave; "budgets" says for each that covers it how many were healthy after that and
  how many it wants;
- ``alive``: every 2 s, that the watch stands, and how many budgets and healthy pods it sees;
- ``away``: a watch broke; what happened meanwhile is judged from the next list, as one moment.

What breaks a promise is decided by the readers, :func:`too_many_closed` and :func:`broken_budgets`; both are pure.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import re
import ssl
import sys
import tempfile
import threading
import time
from pathlib import Path

RESOURCES = {
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/pods",
    "budgets": "/apis/policy/v1beta1/poddisruptionbudgets",  # Kubernetes 1.20
}


def name_of(thing):
    return "/".join(filter(None, [thing["metadata"].get("namespace"), thing["metadata"]["name"]]))


def is_healthy(pod):
    """Tell if the disruption controller counts this pod as healthy: Ready and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def covers(budget, pod):
    """Tell if a budget's selector selects a pod; the lab's budgets use matchLabels only."""
    selector = budget["spec"].get("selector") or {}
    if selector.get("matchExpressions"):
        raise ValueError(f"the watcher cannot judge matchExpressions, which {name_of(budget)} has")
    wanted = selector.get("matchLabels") or {}
    labels = pod["metadata"].get("labels") or {}
    return (
        bool(wanted)
        and budget["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and all(labels.get(key) == value for key, value in wanted.items())
    )


class Cluster:
    """What the API showed last, by kind and UID. Methods return the log's records of what they were told."""

    def __init__(self):
        self.things = {kind: {} for kind in RESOURCES}
        self.closed = None

    def listed(self, kind, items):
        """Take a whole list, the first or one after an outage."""
        before = self.things[kind]
        self.things[kind] = {item["metadata"]["uid"]: item for item in items}
        if kind == "pods":
            return self._left([pod for pod in before.values() if is_healthy(pod)])
        return self._closed() if kind == "nodes" else []

    def event(self, kind, what, item):
        """Take one event of a watch."""
        uid = item["metadata"]["uid"]
        before = self.things[kind].get(uid)
        if what == "DELETED":
            self.things[kind].pop(uid, None)
        else:
            self.things[kind][uid] = item
        if kind == "pods":
            return self._left([before] if before is not None and is_healthy(before) else [])
        return self._closed() if kind == "nodes" else []

    def _closed(self):
        closed = sorted(name_of(node) for node in self.things["nodes"].values() if node["spec"].get("unschedulable"))
        if closed == self.closed:
            return []
        self.closed = closed
        return [{"kind": "nodes", "unschedulable": closed}]

    def _left(self, healthy_before):
        """Return a record of each pod that was healthy and is now leaving or gone; one that only fails its probe is not."""
        pods = self.things["pods"]
        leaving = [
            pod
            for pod in healthy_before
            if pod["metadata"]["uid"] not in pods or pods[pod["metadata"]["uid"]]["metadata"].get("deletionTimestamp")
        ]
        return [
            {
                "kind": "eviction",
                "pod": name_of(pod),
                "node": pod["spec"].get("nodeName", ""),
                "budgets": {
                    name_of(budget): {
                        "healthy": sum(is_healthy(other) and covers(budget, other) for other in pods.values()),
                        "wanted": budget.get("status", {}).get("desiredHealthy", 0),
                    }
                    for budget in self.things["budgets"].values()
                    if covers(budget, pod)
                },
            }
            for pod in leaving
        ]


def too_many_closed(records, allowed):
    """Return the moments with more nodes closed for pods than ``allowed``."""
    return [record for record in records if record["kind"] == "nodes" and len(record["unschedulable"]) > allowed]


def broken_budgets(records):
    """Return the moments at which a healthy pod was sent away and left fewer healthy ones than a budget wants."""
    return [
        record
        for record in records
        if record["kind"] == "eviction"
        and any(count["healthy"] < count["wanted"] for count in record["budgets"].values())
    ]


def longest_gap(records):
    """Return the longest time in seconds in which the log says nothing: how blind the watcher was."""
    times = sorted(record["time"] for record in records)
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=float("inf"))


class Server:
    """The API server as the administrator's kubeconfig of kubeadm names it."""

    def __init__(self, kubeconfig):
        text = Path(kubeconfig).read_text()
        found = dict(re.findall(r"^\s*([a-z-]+): (\S+)$", text, re.MULTILINE))
        self.context = ssl.create_default_context(cadata=base64.b64decode(found["certificate-authority-data"]).decode())
        self.address = found["server"].partition("://")[2]
        with tempfile.NamedTemporaryFile("wb", suffix=".pem") as pem:
            for part in ("client-certificate-data", "client-key-data"):
                pem.write(base64.b64decode(found[part]))
            pem.flush()
            self.context.load_cert_chain(pem.name)

    def get(self, path, timeout):
        connection = http.client.HTTPSConnection(self.address, context=self.context, timeout=timeout)
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status}")
        return answer


def follow(server, kind, take):
    """For ever: list, watch, and list again when the watch breaks."""
    while True:
        try:
            answer = json.load(server.get(RESOURCES[kind], 10))
            take(kind, None, answer["items"])
            version = answer["metadata"]["resourceVersion"]
            while True:
                path = f"{RESOURCES[kind]}?watch=1&timeoutSeconds=60&resourceVersion={version}"
                for line in server.get(path, 70):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise OSError(str(event["object"]))
                    version = event["object"]["metadata"]["resourceVersion"]
                    take(kind, event["type"], event["object"])
        except (OSError, ValueError, http.client.HTTPException) as error:
            take(kind, "AWAY", str(error))
            time.sleep(0.5)


def main(kubeconfig, path):
    cluster, lock = Cluster(), threading.Lock()
    with open(path, "a") as out:

        def write(records):
            out.writelines(json.dumps(dict(record, time=time.time()), sort_keys=True) + "\n" for record in records)
            out.flush()

        def take(kind, what, thing):
            with lock:
                if what == "AWAY":
                    write([{"kind": "away", "of": kind, "why": thing}])
                elif what is None:
                    write(cluster.listed(kind, thing))
                else:
                    write(cluster.event(kind, what, thing))

        server = Server(kubeconfig)
        # Budgets first: a pod that leaves is judged by those that are known.
        for kind in ("budgets", "pods", "nodes"):
            threading.Thread(target=follow, args=(server, kind, take), daemon=True).start()
        while True:
            with lock:
                healthy = sum(is_healthy(pod) for pod in cluster.things["pods"].values())
                write([{"kind": "alive", "budgets": len(cluster.things["budgets"]), "healthy": healthy}])
            time.sleep(2)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
