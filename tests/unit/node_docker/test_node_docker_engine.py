"""What `docker inspect` and /proc say of containers, and in which order they stop."""

import json
import unittest
from unittest import mock

from unshim_node import docker_engine
from unshim_node.errors import NodeError


def inspected(name, labels=None, running=True, **more):
    return {
        "Id": (name.encode("utf-8").hex() + "0" * 64)[:64],
        "Name": "/" + name,
        "State": {"Running": running, "Pid": 100 if running else 0},
        "HostConfig": {"NetworkMode": more.pop("network", "none"), "AutoRemove": more.pop("auto_remove", False)},
        "Config": dict({"Image": "web:1", "Labels": labels}, **more),
    }


def pod(name, container="app", kind="container", grace=None, **more):
    labels = {
        "io.kubernetes.pod.name": name,
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.container.name": container,
        "io.kubernetes.docker.type": kind,
    }
    if grace is not None:
        labels["annotation.io.kubernetes.pod.terminationGracePeriod"] = str(grace)
    labels.update(more.pop("labels", {}))
    return inspected("k8s_%s_%s" % (container, name), labels, **more)


def sandbox(name, **more):
    return pod(name, "POD", "podsandbox", **more)


def parsed(*data):
    return docker_engine.parse_containers(json.dumps(data))


class TestContainers(unittest.TestCase):
    def test_fields(self):
        (container,) = parsed(inspected("registry", None, network="bridge", auto_remove=True, StopTimeout=7))
        self.assertEqual(
            (container.name, container.image, container.pid, container.network_mode, container.labels),
            ("registry", "web:1", 100, "bridge", {}),
        )
        self.assertTrue(container.auto_remove and container.running)
        self.assertEqual(container.stop_timeout, 7)

    def test_nothing(self):
        self.assertEqual(docker_engine.parse_containers(""), [])

    def test_foreign_are_those_that_run_without_a_pod(self):
        found = docker_engine.foreign_running(
            parsed(
                inspected("registry", {"app": "x"}),
                inspected("old", running=False),
                pod("web"),
                sandbox("web"),
                inspected("compose", {"com.docker.compose.project": "p", "io.kubernetes.pod.uid": "not enough"}),
            )
        )
        self.assertEqual([container.name for container in found], ["registry", "compose"])

    def test_words(self):
        app, box, other = parsed(pod("web"), sandbox("web"), inspected("registry"))
        self.assertTrue(docker_engine.described(app).startswith("app of pod shop/web ("))
        self.assertTrue(docker_engine.described(box).startswith("sandbox of pod shop/web ("))
        self.assertTrue(docker_engine.described(other).startswith("registry (image web:1, "))


class TestGrace(unittest.TestCase):
    def test_table(self):
        deletion = "annotation.io.kubernetes.pod.deletionGracePeriod"
        cases = [
            ("no label", inspected("x"), None, 30),
            ("the container's own", inspected("x", StopTimeout=3), None, 3),
            ("the pod's", pod("x", grace=6), None, 6),
            ("the pod's wins over the container's", pod("x", grace=6, StopTimeout=3), None, 6),
            ("deletion wins", pod("x", grace=6, labels={deletion: "2"}), None, 2),
            ("zero", pod("x", grace=0), 30, 0),
            ("capped", pod("x", grace=600), 30, 30),
            ("below the cap", pod("x", grace=6), 30, 6),
            ("not a number", pod("x", grace="soon"), None, 30),
            ("label without prefix", inspected("x", {"io.kubernetes.pod.terminationGracePeriod": "9"}), None, 9),
        ]
        for name, data, limit, expected in cases:
            with self.subTest(name):
                self.assertEqual(docker_engine.grace(parsed(data)[0], limit), expected)


class TestStopOrder(unittest.TestCase):
    def order(self, *data):
        return [[c.name for c in wave] for wave in docker_engine.stop_order(parsed(*data))]

    def test_applications_then_etcd_then_sandboxes(self):
        self.assertEqual(
            self.order(
                sandbox("etcd-cp1"),
                pod("etcd-cp1", "etcd"),
                pod("kube-apiserver-cp1", "kube-apiserver"),
                sandbox("web"),
            ),
            [["k8s_kube-apiserver_kube-apiserver-cp1"], ["k8s_etcd_etcd-cp1"], ["k8s_POD_etcd-cp1", "k8s_POD_web"]],
        )

    def test_neither_foreign_nor_stopped(self):
        self.assertEqual(self.order(inspected("registry"), pod("web", running=False), sandbox("w", running=False)), [])

    def test_one_command_for_each_grace(self):
        found = docker_engine.stop_commands(parsed(pod("a", grace=5), pod("b", grace=90), pod("c", grace=5)), 30)
        self.assertEqual([(argv[:4], len(argv) - 4, grace) for argv, grace in found], [
            (["docker", "stop", "-t", "5"], 2, 5),
            (["docker", "stop", "-t", "30"], 1, 30),
        ])  # fmt: skip

    def test_no_container_waits_for_a_slot(self):
        many = parsed(*[pod("p%d" % number, grace=5) for number in range(120)])
        found = docker_engine.stop_commands(many, 30)
        self.assertEqual([len(argv) - 4 for argv, _ in found], [50, 50, 20])


class TestStop(unittest.TestCase):
    """`docker ps` may list a container for a moment after `docker stop` has returned: seen with Docker 26 on a busy node."""

    def stop(self, *listed):
        containers = parsed(pod("web"), pod("shop"))
        answers = iter([{containers[number].id for number in one} for one in listed])
        last = {containers[number].id for number in listed[-1]}
        done = mock.Mock(err="")
        with mock.patch.object(docker_engine.commands, "run", return_value=done), mock.patch.object(
            docker_engine, "running_ids", side_effect=lambda: next(answers, last)
        ), mock.patch.object(docker_engine, "LIST_LAG", 0.3):
            docker_engine.stop_containers(containers, 30)

    def test_a_list_that_lags_is_asked_again(self):
        self.stop((0, 1), (1,), ())

    def test_who_stays_is_told(self):
        with self.assertRaisesRegex(NodeError, "^Docker could not stop app of pod shop/shop [^,]*. It said: nothing$"):
            self.stop((0, 1), (1,))


class TestLeftovers(unittest.TestCase):
    def test_tasks(self):
        text = "TASK      PID    STATUS    \nabc    852    RUNNING\ndef    0    STOPPED\n"
        self.assertEqual(docker_engine.parse_tasks(text), [("abc", "RUNNING"), ("def", "STOPPED")])
        self.assertEqual(docker_engine.parse_tasks("TASK    PID    STATUS    \n"), [])

    def test_shims(self):
        cases = [
            ("v2", "/usr/bin/containerd-shim-runc-v2 -namespace moby -id abc -address /run/x.sock", ("moby", "abc")),
            ("v1", "containerd-shim -namespace moby -workdir /var/lib/c/io.containerd.runtime.v1.linux/moby/abc",
             ("moby", "abc")),
            ("other namespace", "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id abc", ("k8s.io", "abc")),
            ("no shim", "/usr/bin/less containerd-shim -namespace moby", None),
            ("empty", "", None),
        ]  # fmt: skip
        for name, line, expected in cases:
            with self.subTest(name):
                self.assertEqual(docker_engine.shim_namespace(line.split()), expected)


if __name__ == "__main__":
    unittest.main()
