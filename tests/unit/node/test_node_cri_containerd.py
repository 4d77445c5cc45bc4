"""The CRI client against a real containerd of this machine, with directories and sockets of its own."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

from unshim_node import containerd, cri, grpc_call
from unshim_node.protobuf_wire import field

CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = [{disabled}]
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
"""
MISSING = [
    what
    for what, there in (
        ("containerd on PATH", shutil.which("containerd")),
        ("root", os.geteuid() == 0),
    )
    if not there
]


class Containerd(object):
    """A containerd that leaves nothing behind."""

    def __init__(self, disabled=""):
        # A unix socket's path has to be short.
        self.directory = tempfile.mkdtemp(prefix="unshim-", dir="/tmp")
        self.socket = self.directory + "/containerd.sock"
        config = self.directory + "/config.toml"
        with open(config, "w") as stream:
            stream.write(CONFIG.format(directory=self.directory, disabled=disabled))
        self.log = open(self.directory + "/log", "wb")
        self.process = subprocess.Popen(["containerd", "--config", config], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 20
        while not os.path.exists(self.socket) and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        with open("/proc/self/mountinfo") as stream:
            mounts = [line.split(" ")[4] for line in stream if self.directory in line.split(" ")[4]]
        for mount in reversed(mounts):
            subprocess.call(["umount", mount])
        shutil.rmtree(self.directory)


@unittest.skipIf(MISSING, "needs " + " and ".join(MISSING))
class TestRejectedFiles(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.write("conf.d/10-site.toml", "version = 2\n")
        self.root = self.write("config.toml", 'version = 2\nimports = ["%s/conf.d/*.toml"]\n' % self.directory)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write(text)
        return path

    def test_none(self):
        self.assertEqual(containerd.rejected_files(self.root), [])

    def test_an_imported_file_is_named_and_not_the_one_that_imports_it(self):
        broken = self.write("conf.d/90-site.toml", "version = [\n")
        (said,) = containerd.rejected_files(self.root)
        self.assertTrue(said.startswith(broken + ": "), said)

    def test_the_configuration_itself(self):
        self.write("config.toml", "version = [\n")
        (said,) = containerd.rejected_files(self.root)
        self.assertTrue(said.startswith(self.root + ": "), said)


@unittest.skipIf(MISSING, "needs " + " and ".join(MISSING))
class TestContainerd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.served = Containerd()
        cls.without = Containerd('"io.containerd.grpc.v1.cri"')

    @classmethod
    def tearDownClass(cls):
        cls.served.close()
        cls.without.close()

    def major(self):
        out = subprocess.check_output(["containerd", "--version"]).decode("utf-8").split()
        return int(out[2].lstrip("v").split(".")[0])

    def apis(self):
        return cri.APIS if self.major() < 2 else ("v1",)

    def test_it_is_ready_in_each_version_it_serves(self):
        for api in self.apis():
            said = cri.wait_ready("unix://" + self.served.socket, [api], 20)
            self.assertEqual((said["api"], said["runtime_name"]), (api, "containerd"))
            self.assertIn(said["runtime_version"].lstrip("v"), self.version_line())
            self.assertTrue(said["conditions"]["RuntimeReady"]["status"])

    def version_line(self):
        return subprocess.check_output(["containerd", "--version"]).decode("utf-8")

    def test_without_cni_the_network_is_not_ready(self):
        conditions = cri.Client(self.served.socket).status()
        if os.path.isdir("/etc/cni/net.d") and os.listdir("/etc/cni/net.d"):
            self.skipTest("this machine has a CNI configuration")
        self.assertEqual(conditions["NetworkReady"].reason, "NetworkPluginNotReady")

    def test_an_empty_runtime(self):
        for api in self.apis():
            client = cri.Client(self.served.socket, api)
            self.assertEqual(client.image_names(), [])
            self.assertFalse(client.image_present("registry.k8s.io/pause:3.6"))
            self.assertEqual((client.pod_sandboxes(), client.containers()), ([], []))

    def test_errors_carry_what_containerd_says(self):
        with self.assertRaises(cri.CriError) as caught:
            # Unlike what is called for, this is an error in every version of containerd.
            cri.Client(self.served.socket)._runtime("PodSandboxStatus", field(1, "no-such"))
        self.assertEqual(grpc_call.STATUS_NAMES[caught.exception.status], "NOT_FOUND")
        self.assertIn("an error occurred when try to find sandbox", caught.exception.message)

    def test_stopping_a_container_that_is_gone_stops_nothing(self):
        """Later ones of containerd 1.7 say that it is stopped, those before that it is not there."""
        try:
            cri.Client(self.served.socket).stop_container("no-such", 1)
        except cri.CriError as error:
            self.assertEqual(grpc_call.STATUS_NAMES[error.status], "NOT_FOUND")
            self.assertIn("no-such", error.message)

    def test_removing_a_sandbox_that_is_gone_is_no_error(self):
        cri.Client(self.served.socket).remove_pod_sandbox("no-such")

    def test_a_disabled_cri_plugin_is_said_to_be(self):
        for api in cri.APIS:
            with self.assertRaises(cri.CriError) as caught:
                cri.wait_ready(self.without.socket, [api], 0)
            self.assertEqual(caught.exception.status, grpc_call.UNIMPLEMENTED)
            self.assertIn("unknown service runtime.%s.RuntimeService" % api, caught.exception.message)

    def test_a_version_that_is_missing_does_not_use_up_the_timeout(self):
        began = time.monotonic()
        with self.assertRaises(cri.CriError):
            cri.wait_ready(self.without.socket, ["v1"], 60)
        self.assertLess(time.monotonic() - began, 10)


class TestNobodyThere(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def error(self, path):
        with self.assertRaises(cri.CriError) as caught:
            cri.Client(path, timeout=1).version()
        return caught.exception

    def test_a_socket_that_does_not_exist(self):
        error = self.error(self.directory + "/none.sock")
        self.assertTrue(error.unreachable)
        self.assertIn("does not exist. Start containerd", error.message)

    def test_a_socket_nobody_listens_on(self):
        import socket

        path = self.directory + "/dead.sock"
        left = socket.socket(socket.AF_UNIX)
        left.bind(path)
        left.close()
        error = self.error(path)
        self.assertTrue(error.unreachable)
        self.assertIn("nobody listens", error.message)
