"""Where a kubelet's endpoint is named, and which lines of a log tell why it ended."""

import unittest

from unshim_node import containerd, kubelet, systemd


class TestEndpoint(unittest.TestCase):
    def test_flags(self):
        for words, value in (
            (["kubelet", "--container-runtime-endpoint=unix:///a"], "unix:///a"),
            (["kubelet", "--container-runtime-endpoint", "unix:///a", "--v=2"], "unix:///a"),
            (["kubelet", "--container-runtime-endpoint=a", "--container-runtime-endpoint=b"], "b"),
            (["kubelet", "--container-runtime-endpoint"], ""),
            (["kubelet", "--container-runtime-endpoint-other=x"], ""),
        ):
            self.assertEqual(kubelet.flag(words, kubelet.FLAG), value, words)

    def test_configuration_files(self):
        for text, value in (
            ("containerRuntimeEndpoint: unix:///a\n", "unix:///a"),
            ('kind: X\ncontainerRuntimeEndpoint: "unix:///a"  # ours\n', "unix:///a"),
            ("containerRuntimeEndpoint: 'unix:///a'\n", "unix:///a"),
            ("containerRuntimeEndpoint: unix:///a # ours\n", "unix:///a"),
            ("# containerRuntimeEndpoint: unix:///a\n", ""),
            ("nested:\n  containerRuntimeEndpoint: unix:///a\n", ""),
            ('containerRuntimeEndpoint: ""\n', ""),
            ('{"kind": "X", "containerRuntimeEndpoint": "unix:///a"}', "unix:///a"),
            ('{containerRuntimeEndpoint: "unix:///a", b: 2}', "unix:///a"),
            ("\ufeffcontainerRuntimeEndpoint: unix:///a\n", "unix:///a"),
            ("{broken", ""),
        ):
            self.assertEqual(kubelet.endpoint_in_config(text.encode("utf-8")), value, text)


# Recorded from kubelet 1.20.2 with an unknown flag and from containerd 1.6.20 with an impossible streaming port.
KUBELET_LOG = """\
E1124 11:20:43.488854    5716 remote_runtime.go:116] RunPodSandbox from runtime service failed: rpc error
      --alsologtostderr                  log to standard error as well as files
F1124 11:20:44.816133    8821 server.go:156] unknown flag: --no-such-flag
goroutine 1 [running]:
k8s.io/kubernetes/vendor/k8s.io/klog/v2.stacks(0xc000010001)
"""
CONTAINERD_LOG = """\
time="2026-11-24T11:20:36.684459963Z" level=info msg="Start streaming server"
time="2026-11-24T11:20:36.685692558Z" level=error msg="Failed to start streaming server" error="listen tcp"
time="2026-11-24T11:20:36.699787980Z" level=fatal msg="Failed to run CRI service" error="stream server error"
"""


class TestTellingLines(unittest.TestCase):
    def test_the_fatal_line_alone(self):
        self.assertEqual(
            systemd.telling_lines(KUBELET_LOG),
            "F1124 11:20:44.816133    8821 server.go:156] unknown flag: --no-such-flag",
        )
        self.assertEqual(systemd.telling_lines(CONTAINERD_LOG), CONTAINERD_LOG.splitlines()[2])

    def test_errors_if_nothing_was_fatal(self):
        self.assertEqual(
            systemd.telling_lines(KUBELET_LOG.replace("F1124", "I1124").replace("unknown flag", "flag")),
            KUBELET_LOG.splitlines()[0],
        )

    def test_the_last_lines_if_nothing_tells(self):
        self.assertEqual(systemd.telling_lines("a\n\nb\nc\n", 2), "b\nc")


class TestContainerd(unittest.TestCase):
    def test_what_needs_a_restart(self):
        for path, role, needed in (
            ("/etc/containerd/config.toml", "containerd_config", True),
            ("/etc/systemd/system/containerd.service.d/proxy.conf", "containerd_config", True),
            ("/etc/systemd/system/containerd.service.d/proxy.conf", "other", True),
            ("/etc/systemd/system/docker.service.d/proxy.conf", "other", False),
            ("/etc/containerd/certs.d/x/hosts.toml", "registry", False),
            ("/etc/sysctl.d/99-unshim.conf", "sysctl", False),
        ):
            self.assertEqual(containerd.needs_restart({"path": path, "role": role}), needed, path)

    def test_names_of_sysctls(self):
        self.assertEqual(containerd.sysctl_path("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward")
        self.assertEqual(
            containerd.sysctl_path("net/ipv4/conf/eth0.1/forwarding"), "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
        )

    def test_a_module_that_is_built_in_or_loaded(self):
        self.assertTrue(containerd.module_is_there("proc"))  # a filesystem
        self.assertFalse(containerd.module_is_there("no_such_module"))
