"""The CNI calls that take down a sandbox's network, and what happens when they fail."""

import base64
import json
import os
import stat
import tempfile
import unittest

from unshim_node import cni_delete, docker_engine
from unshim_node.errors import NodeError

# From a dockershim node (kubelet 1.20.2), shortened ids
CONFIG = {
    "cniVersion": "0.3.1",
    "name": "lab",
    "plugins": [
        {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]]}},
        {"type": "portmap", "capabilities": {"portMappings": True, "bandwidth": True, "aliases": False}},
    ],
}
PORTS = [{"hostPort": 8090, "containerPort": 8080, "protocol": "tcp", "hostIP": ""}]
ARGS = [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "edge"]]
RESULT = {"cniVersion": "0.3.1", "ips": [{"address": "10.244.1.5/24", "version": "4"}]}
LOOPBACK = {"cniVersion": "0.2.0", "name": "cni-loopback", "plugins": [{"type": "loopback"}]}


def cache_file(config=CONFIG, **more):
    data = {
        "kind": "cniCacheV1",
        "containerId": "abc",
        "config": base64.b64encode(json.dumps(config).encode("utf-8")).decode("ascii"),
        "ifName": "eth0",
        "networkName": config["name"],
        "cniArgs": ARGS,
        "capabilityArgs": {"portMappings": PORTS, "ipRanges": [[{"subnet": "10.244.1.0/24"}]], "aliases": ["x"]},
        "result": RESULT,
    }
    data.update(more)
    return json.dumps(data)


def calls(text, namespace="/proc/7/ns/net"):
    return cni_delete.invocations(cni_delete.parse_cached(text), "abc", namespace, ["/opt/cni/bin", "/usr/lib/cni"])


class TestInvocations(unittest.TestCase):
    def test_last_plugin_first(self):
        self.assertEqual([call.plugin for call in calls(cache_file())], ["portmap", "bridge"])

    def test_environment(self):
        self.assertEqual(
            calls(cache_file())[0].environment,
            {
                "CNI_COMMAND": "DEL",
                "CNI_CONTAINERID": "abc",
                "CNI_NETNS": "/proc/7/ns/net",
                "CNI_IFNAME": "eth0",
                "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=edge",
                "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
            },
        )

    def test_runtime_config_is_what_a_plugin_asks_for(self):
        portmap, bridge = [json.loads(call.stdin) for call in calls(cache_file())]
        self.assertEqual(portmap["runtimeConfig"], {"portMappings": PORTS})
        self.assertNotIn("runtimeConfig", bridge)
        self.assertEqual((bridge["name"], bridge["cniVersion"], bridge["bridge"]), ("lab", "0.3.1", "cni0"))

    def test_previous_result_from_0_4_0_on(self):
        for version, expected in [("", False), ("0.3.1", False), ("0.4.0", True), ("1.0.0", True), ("0.10.0", True)]:
            with self.subTest(version):
                call = calls(cache_file(dict(CONFIG, cniVersion=version)))[0]
                self.assertEqual("prevResult" in json.loads(call.stdin), expected)

    def test_one_plugin_without_a_list(self):
        self.assertEqual(
            [c.plugin for c in calls(cache_file({"name": "n", "type": "ptp", "cniVersion": "0.4.0"}))], ["ptp"]
        )

    def test_not_a_cache_file(self):
        for text in ("", "{", "[]", '{"kind": "other"}', cache_file(config_missing=1).replace('"config"', '"x"')):
            with self.subTest(text[:20]), self.assertRaises(NodeError) as raised:
                cni_delete.parse_cached(text, "/cache/x")
            self.assertIn("/cache/x", str(raised.exception))

    def test_a_cache_of_old_libcni_is_the_result_alone(self):
        fallback = cni_delete.Attachment(CONFIG, "eth0", ARGS, {}, None, "")
        found = cni_delete.parse_cached(json.dumps(RESULT), "/cache/x", fallback)
        self.assertEqual(found, fallback._replace(result=RESULT, cache_file="/cache/x"))


class TestWhatIsKnown(unittest.TestCase):
    def test_ports_of_a_checkpoint(self):
        # From a dockershim node
        text = (
            '{"version":"v1","name":"edge","namespace":"shop","data":{"port_mappings":'
            '[{"protocol":"tcp","container_port":8080,"host_port":8090},{"protocol":"tcp","container_port":1}]},'
            '"checksum":487144070}'
        )
        self.assertEqual(cni_delete.checkpointed_ports(text), PORTS)

    def test_no_checkpoint(self):
        for text in ("", "[]", '{"data": {}}', '{"data": null}'):
            with self.subTest(text):
                self.assertEqual(cni_delete.checkpointed_ports(text), [])

    def test_failures_in_words(self):
        self.assertEqual(cni_delete.failure('{"code": 7, "msg": "no net", "details": "x"}', ""), "no net: x")
        self.assertEqual(cni_delete.failure("", "panic: y\n"), "panic: y")
        self.assertEqual(cni_delete.failure("", ""), "it printed nothing")


class TestDelete(unittest.TestCase):
    """With real programs as plugins: each writes down how it was called."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = place.name
        for name in ("cache/results", "conf", "bin"):
            os.makedirs(os.path.join(self.root, name))
        self.plugin("bridge")
        self.plugin("portmap")
        self.plugin("loopback")

    def plugin(self, name, end="exit 0"):
        path = os.path.join(self.root, "bin", name)
        with open(path, "w") as stream:
            stream.write('#!/bin/sh\necho "%s $CNI_COMMAND $CNI_NETNS" >> %s/log\ncat >/dev/null\n%s\n'
                         % (name, self.root, end))  # fmt: skip
        os.chmod(path, stat.S_IRWXU)

    def write(self, name, text):
        with open(os.path.join(self.root, name), "w") as stream:
            stream.write(text)

    def delete(self, running=True, network="none"):
        labels = {"io.kubernetes.pod.name": "edge", "io.kubernetes.docker.type": "podsandbox"}
        sandbox = docker_engine.Container("abc", "k8s_POD_edge", "pause", running, 7, network, False, None, labels)
        warnings = cni_delete.delete(
            sandbox,
            os.path.join(self.root, "cache"),
            os.path.join(self.root, "conf"),
            [os.path.join(self.root, "bin")],
        )
        log = os.path.join(self.root, "log")
        return warnings, open(log).read().splitlines() if os.path.exists(log) else []

    def cached(self):
        return sorted(os.listdir(os.path.join(self.root, "cache", "results")))

    def test_from_the_cache(self):
        self.write("cache/results/lab-abc-eth0", cache_file())
        self.write("cache/results/cni-loopback-abc-eth0", cache_file(LOOPBACK))
        self.write("cache/results/lab-other-eth0", cache_file())
        netns = "/proc/7/ns/net"
        self.assertEqual(self.delete(), ([], ["portmap DEL " + netns, "bridge DEL " + netns, "loopback DEL " + netns]))
        self.assertEqual(self.cached(), ["lab-other-eth0"])

    def test_a_stopped_sandbox_has_no_namespace(self):
        self.write("cache/results/lab-abc-eth0", cache_file())
        self.assertEqual(self.delete(running=False), ([], ["portmap DEL ", "bridge DEL "]))

    def test_a_stopped_sandbox_with_only_loopback_left_is_done(self):
        self.write("cache/results/cni-loopback-abc-eth0", cache_file(LOOPBACK))
        self.assertEqual(self.delete(running=False), ([], []))

    def test_without_cache_from_the_configuration(self):
        self.write("conf/10-lab.conflist", json.dumps(CONFIG))
        self.write("conf/05-broken.conflist", "{")
        self.assertEqual([line.split()[0] for line in self.delete()[1]], ["portmap", "bridge"])

    def test_neither_host_network_nor_dockers_own(self):
        self.write("conf/10-lab.conflist", json.dumps(CONFIG))
        for network in ("host", "bridge", "default"):
            with self.subTest(network):
                self.assertEqual(self.delete(network=network), ([], []))

    def test_a_failure_is_a_warning_and_the_others_still_run(self):
        self.plugin("portmap", """echo '{"code": 100, "msg": "no such chain"}'; exit 1""")
        self.write("cache/results/lab-abc-eth0", cache_file())
        warnings, log = self.delete()
        self.assertEqual([line.split()[0] for line in log], ["portmap", "bridge"])
        self.assertEqual(len(warnings), 1)
        self.assertIn("portmap: no such chain", warnings[0])
        self.assertEqual(self.cached(), ["lab-abc-eth0"])

    def test_a_missing_plugin_and_a_path_for_a_name(self):
        self.write("cache/results/lab-abc-eth0", cache_file({"name": "n", "plugins": [{"type": "../bin/bridge"}]}))
        warnings, log = self.delete()
        self.assertEqual(log, [])
        self.assertIn("no plugin '../bin/bridge'", warnings[0])

    def test_a_damaged_cache_is_a_warning(self):
        self.write("cache/results/lab-abc-eth0", "{")
        warnings, log = self.delete()
        self.assertEqual((len(warnings), log), (1, []))


if __name__ == "__main__":
    unittest.main()
