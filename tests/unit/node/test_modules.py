"""The node's modules, run as Ansible runs them, on stand-ins for systemd and with real files and processes."""

import json
import os
import stat
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from cri_server import Server, reply, trailers_frame
from stand_in_node import change, run_module
from unshim_node.protobuf_wire import field

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as on a node")


class TestContainerdConfig:
    @pytest.fixture(autouse=True)
    def containerd(self, node, monkeypatch):
        # It rejects what holds "syntax error", and its CRI service is missing while the file in use holds "no cri".
        node.program("containerd", 'if grep -q "syntax error" "$2"; then echo "cannot parse $2" >&2; exit 1; fi')
        node.program("ctr", 'echo "io.containerd.grpc.v1 cri linux/amd64 error"')
        node.unit("containerd.service")
        self.node = node
        self.config = node.etc / "config.toml"
        self.config.write_text("old\n")

        def answer(method, request):
            if "no cri" in self.config.read_text():
                return trailers_frame(12, "unknown service")
            if method.endswith("Version"):
                return reply(field(2, "containerd") + field(3, "1.6.20"))
            return reply(field(1, field(1, field(1, "RuntimeReady") + field(2, True))))

        with Server(node.root, answer) as server:
            self.socket = server.path
            yield

    def present(self, *changes, check=False, **more):
        return self.node.run(
            "containerd_config", check, files=list(changes), socket=self.socket, cri_api=["v1"], cri_timeout=3, **more
        )

    def config_change(self, after, before="old\n"):
        return change(self.config, before, after, role="containerd_config")

    def test_it_writes_restarts_once_and_then_changes_nothing(self):
        result = self.present(self.config_change("new\n"))
        assert (result["changed"], result["restarted"]) == (True, True)
        assert result["cri"]["runtime_version"] == "1.6.20"
        assert self.config.read_text() == "new\n"
        assert self.node.calls() == ["restart containerd.service"]
        assert self.node.written()["notes"] == {}
        again = self.present(self.config_change("new\n"))
        assert (again["changed"], again["restarted"], self.node.calls()) == (False, False, [])

    def test_a_file_that_the_configuration_names_is_there_before_it(self):
        spec = self.config.with_name("spec.json")
        config = self.config_change("base_runtime_spec\n")
        assert self.present(config, change(spec, None, "{}", role="containerd_config"))["restarted"]
        assert spec.stat().st_mtime_ns < self.config.stat().st_mtime_ns

    def test_a_restart_that_would_take_containers_along_is_refused(self):
        self.node.unit("containerd.service", KillMode="control-group")
        result = self.present(self.config_change("new\n"))
        assert result["failed"] and "KillMode=process" in result["msg"]
        assert (self.config.read_text(), self.node.calls()) == ("old\n", [])

    def test_what_a_run_that_was_cut_short_wrote_is_not_said_to_be_put_back(self):
        self.present(self.config_change("new\n"))
        path = self.node.journal / "journal.json"
        path.write_text(json.dumps({**self.node.written(), "state": "drained", "notes": {"restart_pending": True}}))
        stand_in = (self.node.bin / "systemctl").read_text().split("\n", 1)[1]
        self.node.program("systemctl", 'case "$1" in restart) echo "Job failed." >&2; exit 1;; esac\n' + stand_in)
        result = self.present(self.config_change("new\n"))
        assert result["failed"] and "were put back" not in result["msg"] and result["put_back"] == []
        assert "an earlier run wrote" in result["msg"] and self.config.read_text() == "new\n"

    def test_what_a_killed_run_wrote_and_containerd_refuses_goes_back(self):
        def killed(_unit):
            raise KeyboardInterrupt

        with mock.patch("ansible.module_utils.unshim_node.systemd.restart", killed), pytest.raises(KeyboardInterrupt):
            self.present(self.config_change("no cri\n"))
        assert self.config.read_text() == "no cri\n"
        # The plan of the next run finds the file as it wants it.
        result = self.present(change(self.config, "no cri\n", "no cri\n", role="containerd_config"))
        assert result["failed"] and result["put_back"] == [str(self.config)]
        assert self.config.read_text() == "old\n"
        assert self.node.calls()[-1] == "restart containerd.service"

    def test_a_sysctl_is_noted_before_it_is_set(self, monkeypatch):
        def killed(_name, _value):
            raise KeyboardInterrupt

        monkeypatch.setattr("ansible.module_utils.unshim_node.containerd.sysctl", lambda _name: "0")
        monkeypatch.setattr("ansible.module_utils.unshim_node.containerd.set_sysctl", killed)
        with pytest.raises(KeyboardInterrupt):
            self.present(sysctls={"net.ipv4.ip_forward": "1"})
        assert self.node.written()["notes"]["sysctls_before"] == {"net.ipv4.ip_forward": "0"}

    def test_sysctls_go_back_unless_somebody_else_has_set_them(self, monkeypatch, tmp_path):
        monkeypatch.setattr(
            "ansible.module_utils.unshim_node.containerd.sysctl_path", lambda name: str(tmp_path / name)
        )
        before = {"net.ipv4.ip_forward": "0\n", "net.bridge.bridge-nf-call-iptables": "0\n", "vm.max_map_count": "9\n"}
        for name, value in before.items():
            (tmp_path / name).write_text(value)
        wanted = {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1", "vm.max_map_count": "9"}
        assert len(self.present(sysctls=wanted)["set_sysctls"]) == 2
        (tmp_path / "net.bridge.bridge-nf-call-iptables").write_text("2\n")  # an administrator, later
        back = {"net.ipv4.ip_forward": "0"}
        predicted = self.node.run("containerd_config", check=True, state="restored", socket=self.socket)
        assert predicted["changed"] and predicted["set_sysctls"] == back
        assert self.node.run("containerd_config", state="restored", socket=self.socket)["set_sysctls"] == back
        assert (tmp_path / "net.ipv4.ip_forward").read_text() == "0"
        assert (tmp_path / "net.bridge.bridge-nf-call-iptables").read_text() == "2\n"
        assert self.node.run("containerd_config", state="restored", socket=self.socket)["changed"] is False

    def test_a_containerd_that_starts_with_the_old_files_no_more_either_is_told_and_started_by_the_next_run(self):
        stand_in = (self.node.bin / "systemctl").read_text().split("\n", 1)[1]
        self.node.program("systemctl", 'case "$1" in restart) echo "Job failed." >&2; exit 1;; esac\n' + stand_in)
        self.node.program("journalctl", 'echo "Found left-over process 7 in control group"; echo "failed to load TOML"')
        result = self.present(self.config_change("new\n"))
        assert result["failed"] and "does not start with them either" in result["msg"]
        assert "failed to load TOML" in result["msg"] and "left-over process" not in result["msg"]
        assert result["put_back"] == [str(self.config)] and self.config.read_text() == "old\n"
        self.node.program("systemctl", stand_in)
        again = self.present(self.config_change("new\n"))
        assert again["restarted"] and self.config.read_text() == "new\n" and self.node.written()["notes"] == {}

    def test_a_directory_in_the_place_of_the_socket_stops_a_restart(self):
        os.rename(self.socket, self.socket + ".aside")
        os.mkdir(self.socket)
        result = self.present(self.config_change("new\n"))
        assert result["failed"] and "rmdir %s" % self.socket in result["msg"] and "is a directory" in result["msg"]
        assert (self.config.read_text(), self.node.calls()) == ("old\n", [])
        os.rmdir(self.socket)
        os.rename(self.socket + ".aside", self.socket)

    def test_a_way_back_cut_short_before_systemd_was_told_goes_on(self):
        self.present(self.config_change("new\n"))
        self.node.calls()
        # Killed after the last file, a drop-in, was taken away: systemd still has it, and the note asks for a restart.
        self.config.write_text("old\n")
        path = self.node.journal / "journal.json"
        path.write_text(json.dumps({**self.node.written(), "notes": {"restart_pending": True}}))
        self.node.unit("containerd.service", NeedDaemonReload="yes")
        result = self.node.run("containerd_config", state="restored", socket=self.socket)
        assert result["restarted"] and self.node.calls() == ["daemon-reload", "restart containerd.service"]

    def test_check_mode_predicts_exactly_that(self):
        result = self.present(self.config_change("new\n"), check=True)
        assert (result["changed"], result["restarted"]) == (True, True)
        assert result["diff"][0]["after"] == "new\n"
        assert self.config.read_text() == "old\n"
        assert self.node.calls() == []
        assert not self.node.journal.exists()

    def test_a_registry_needs_no_restart(self):
        result = self.present(change(self.node.etc / "certs.d" / "hosts.toml", None, "x", role="registry"))
        assert (result["changed"], result["restarted"], self.node.calls()) == (True, False, [])

    def key_copy(self):
        source = self.node.etc / "client.key"
        source.write_text("-----BEGIN PRIVATE KEY-----")
        path = self.node.etc / "certs.d" / "reg" / "client.key"
        return path, [{"source": str(source), "path": str(path), "mode": "0400", "secret": True}]

    def test_a_key_is_copied_without_being_shown_and_removed_again(self):
        path, copies = self.key_copy()
        predicted = self.present(copies=copies, check=True)
        assert predicted["changed"] and not path.exists() and not self.node.journal.exists()
        result = self.present(copies=copies)
        assert (result["changed"], result["restarted"], result["changed_files"]) == (True, False, [str(path)])
        assert result["diff"] == predicted["diff"]
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("-----BEGIN PRIVATE KEY-----", 0o400)
        assert self.present(copies=copies)["changed"] is False
        restored = self.node.run("containerd_config", state="restored", socket=self.socket)
        assert restored["changed_files"] == [str(path)] and not path.parent.parent.exists()
        said = json.dumps([predicted, result, restored]) + json.dumps(self.node.written())
        assert "PRIVATE" not in said

    def test_a_failing_gate_takes_copies_back_too(self):
        path, copies = self.key_copy()
        result = self.present(self.config_change("no cri\n"), copies=copies)
        assert result["failed"] and str(path) in result["put_back"] and not path.parent.parent.exists()

    def test_a_configuration_containerd_rejects_changes_nothing(self):
        other = change(self.node.etc / "first", None, "x")
        result = self.present(other, self.config_change("syntax error\n"))
        assert result["failed"]
        assert "rejects the new configuration, so nothing was changed: cannot parse the new config" in result["msg"]
        assert self.config.read_text() == "old\n"
        assert not (self.node.etc / "first").exists()
        assert self.node.calls() == []

    def test_a_file_changed_since_the_plan_stops_all_of_them(self):
        result = self.present(self.config_change("new\n"), change(self.node.etc / "x", "was here\n", "y"))
        assert "changed since the plan" in result["msg"]
        assert self.config.read_text() == "old\n"

    def test_a_failing_gate_takes_everything_of_this_run_back(self):
        first = self.node.etc / "new" / "hosts.toml"
        os.chmod(self.config, 0o600)
        result = self.present(change(first, None, "x", role="registry"), self.config_change("no cri\n"))
        assert result["failed"]
        assert "does not serve CRI v1" in result["msg"]
        assert "io.containerd.grpc.v1 cri linux/amd64 error" in result["msg"]
        assert "what the log says" in result["msg"]
        assert result["put_back"] == [str(first), str(self.config)]
        assert self.config.read_text() == "old\n"
        assert stat.S_IMODE(self.config.stat().st_mode) == 0o600
        assert not first.parent.exists()
        assert self.node.calls() == ["restart containerd.service"] * 2
        assert self.present(self.config_change("old\n"))["changed"] is False

    def test_a_containerd_that_did_not_run_is_stopped_again(self):
        self.node.unit("containerd.service", ActiveState="inactive", MainPID="0")
        assert self.present(self.config_change("no cri\n"))["failed"]
        assert self.node.calls() == ["restart containerd.service", "stop containerd.service"]

    def test_a_containerd_that_answers_and_ends_does_not_pass(self):
        self.node.unit("containerd.service", ActiveState="inactive", MainPID="0", command=["/bin/sleep", "0.7"])
        result = self.present(self.config_change("new\n"))
        assert "answered after its start and then ended" in result["msg"]
        assert self.config.read_text() == "old\n"

    def test_an_interrupted_restart_is_made_up_for(self):
        self.present(self.config_change("new\n"))
        journal = self.node.written()
        journal["notes"]["restart_pending"] = True
        (self.node.journal / "journal.json").write_text(json.dumps(journal))
        self.node.calls()
        result = self.present(self.config_change("new\n"))
        assert (result["changed"], result["restarted"], self.node.calls()) == (
            True,
            True,
            ["restart containerd.service"],
        )

    def test_restored(self):
        before = self.config.stat()
        self.present(self.config_change("new\n"), change(self.node.etc / "d" / "x", None, "y"))
        self.node.calls()
        predicted = self.node.run("containerd_config", True, state="restored", socket=self.socket)
        assert predicted["changed"] and self.config.read_text() == "new\n"
        result = self.node.run("containerd_config", state="restored", socket=self.socket)
        assert (
            result["changed_files"] == predicted["changed_files"] == [str(self.config), str(self.node.etc / "d" / "x")]
        )
        assert self.config.read_text() == "old\n"
        assert (self.config.stat().st_mode, self.config.stat().st_uid) == (before.st_mode, before.st_uid)
        assert not (self.node.etc / "d").exists()
        assert self.node.calls() == ["restart containerd.service"]
        assert self.node.run("containerd_config", state="restored", socket=self.socket)["changed"] is False

    def test_restored_leaves_the_kubelets_files_alone(self):
        self.present(change(self.node.etc / "kubelet.env", None, "y", role="kubelet"))
        assert self.node.run("containerd_config", state="restored", socket=self.socket)["changed_files"] == []

    def test_secrets_stay_out_of_the_result(self):
        result = self.present(change(self.node.etc / "hosts.toml", None, "password\n", role="registry", secret=True))
        assert result["changed"] and "password" not in json.dumps(result)

    def test_a_module_that_cannot_be_loaded_is_a_warning(self):
        self.node.program("modprobe", "echo 'FATAL: Module not found' >&2; exit 1")
        result = self.present(modules=["no_such_module", "overlay"])
        assert result["changed"] is False
        assert "no_such_module cannot be loaded: FATAL: Module not found" in json.dumps(result["warnings"])


class TestKubeletRuntime:
    FLAGS = 'KUBELET_KUBEADM_ARGS="--network-plugin=cni"\n'
    NEW = 'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/containerd/containerd.sock"\n'
    CRASHING = 'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/containerd/containerd.sock --crash"\n'

    @pytest.fixture(autouse=True)
    def kubelet(self, node):
        self.node = node
        self.flags = node.etc / "kubeadm-flags.env"
        self.flags.write_text(self.FLAGS)
        # It ends once it was seen up, however busy the machine.
        crash = 'until [ "$(cat "$UNITS/shown")" = $$ ]; do sleep 0.1; done; exit 1'
        node.program("kubelet", f'case "$*" in *--crash*) {crash};; esac; while :; do sleep 1; done')
        node.unit("kubelet.service", command=["/bin/sh", str(node.bin / "kubelet")], environment_file=str(self.flags))
        self.systemctl("restart")
        node.calls()
        yield
        self.systemctl("stop")

    def systemctl(self, verb):
        subprocess.run([self.node.bin / "systemctl", verb, "kubelet.service"], check=True)

    def switch(self, check=False, after=NEW, watch=0.8, **more):
        return self.node.run(
            "kubelet_runtime",
            check,
            state="containerd",
            files=[change(self.flags, self.FLAGS, after, role="kubelet", mode="0600")],
            watch=watch,
            **more,
        )

    def restore(self, check=False, **more):
        return self.node.run("kubelet_runtime", check, state="restored", watch=0.3, **more)

    def test_there_and_back(self):
        before = self.flags.stat()
        assert self.node.run("kubelet_runtime", state="stopped")["stopped"] is True
        assert self.node.run("kubelet_runtime", state="stopped")["changed"] is False
        result = self.switch()
        assert (result["changed"], result["started"]) == (True, True)
        assert "--container-runtime-endpoint=unix:///run/containerd/containerd.sock" in result["command_line"]
        assert self.switch()["changed"] is False
        assert self.restore(check=True)["changed"] is True
        result = self.restore()
        assert "--network-plugin=cni" in result["command_line"]
        assert self.flags.read_text() == self.FLAGS
        assert self.flags.stat().st_mode == before.st_mode
        assert self.restore()["changed"] is False
        assert self.node.calls() == [
            "stop kubelet.service",
            "restart kubelet.service",
            "stop kubelet.service",
            "restart kubelet.service",
        ]

    def test_check_mode_touches_nothing(self):
        assert self.node.run("kubelet_runtime", True, state="stopped")["changed"] is True
        result = self.switch(check=True)
        assert (result["changed"], result["started"]) == (True, True)
        assert self.flags.read_text() == self.FLAGS
        assert self.node.calls() == []
        assert not self.node.journal.exists()

    def test_a_crash_loop_is_a_failure_with_its_log(self):
        result = self.switch(after=self.CRASHING, watch=30)
        assert result["failed"]
        assert "The kubelet ended" in result["msg"] and "what the log says" in result["msg"]
        assert self.node.written()["steps"][-1]["status"] == "failed"
        # The file is as planned, but its start was not proved: the next run tries again.
        assert self.switch(after=self.CRASHING, watch=30)["failed"]
        assert self.restore()["started"] is True
        assert self.flags.read_text() == self.FLAGS

    def test_a_start_that_was_not_proved_is_made_again(self):
        self.switch()
        journal = self.node.written()
        journal["notes"]["kubelet_restart_pending"] = True
        (self.node.journal / "journal.json").write_text(json.dumps(journal))
        self.node.calls()
        assert self.switch()["started"] is True
        assert self.node.calls() == ["restart kubelet.service"]

    def test_a_kubelet_that_ignores_the_planned_files(self):
        result = self.switch(after='KUBELET_KUBEADM_ARGS="--v=2"\n')
        assert "neither its command line nor its configuration file names unix:///run/containerd" in result["msg"]

    def test_the_endpoint_may_be_in_the_configuration_file(self):
        config = self.node.etc / "config.yaml"
        config.write_text(
            'kind: KubeletConfiguration\ncontainerRuntimeEndpoint: "unix:///run/containerd/containerd.sock"\n'
        )
        assert self.switch(after=f'KUBELET_KUBEADM_ARGS="--config={config}"\n')["changed"] is True

    def test_a_kubelet_that_was_not_touched_is_left_alone(self):
        assert self.restore()["changed"] is False
        assert self.node.calls() == []

    def test_a_drain_that_failed_only_needs_the_start(self):
        self.node.run("kubelet_runtime", state="stopped")
        assert self.restore(start=False)["changed"] is False
        result = self.restore()
        assert (result["started"], result["changed_files"]) == (True, [])


class TestMigrationJournal:
    def test_a_life(self, node):
        assert node.run("migration_journal")["exists"] is False
        first = node.run("migration_journal", state="prepared", source="dockershim", annotations={"a": None})
        assert (first["changed"], first["state"]) == (True, "prepared")
        assert (
            node.run("migration_journal", state="prepared", source="dockershim", annotations={"a": "b"})["changed"]
            is False
        )
        assert node.run("migration_journal", event="drain_started")["changed"] is True
        assert node.run("migration_journal", event="drain_started")["changed"] is False
        predicted = node.run("migration_journal", True, state="drained")
        assert (predicted["changed"], predicted["state"]) == (True, "drained")
        assert node.run("migration_journal")["state"] == "prepared"
        assert node.run("migration_journal", state="docker")["journal"]["generation"] == 2
        assert node.run("migration_journal", state="docker")["changed"] is False
        assert node.run("migration_journal", state="committed")["changed"] is True
        assert node.run("migration_journal", state="committed")["changed"] is False
        assert "no way back" in node.run("migration_journal", state="docker")["msg"]

    def test_notes(self, node):
        assert node.run("migration_journal", notes={"cordoned_by_us": True})["changed"] is True
        result = node.run("migration_journal", notes={"cordoned_by_us": None})
        assert (result["changed"], result["journal"]["notes"]) == (True, {})

    def test_a_damaged_journal_is_a_warning(self, node):
        node.run("migration_journal", state="prepared")
        node.run("migration_journal", state="drained")
        (node.journal / "journal.json").write_text("{")
        result = node.run("migration_journal")
        assert result["state"] == "prepared"
        assert "its previous generation is used" in json.dumps(result["warnings"])


class TestCriPods:
    SANDBOX = field(1, field(1, "s1") + field(2, field(1, "web") + field(3, "default")))
    CONTAINER = field(1, field(1, "c1") + field(2, "s1") + field(3, field(1, "web")) + field(6, 1))

    def run(self, node, capsys, check=False, refuse=""):
        gone = []

        def answer(method, request):
            name = method.rsplit("/", 1)[1]
            if name == refuse:
                return trailers_frame(2, "device busy")
            if name == "RemovePodSandbox":
                gone.append(request)
            answers = {"ListPodSandbox": b"" if gone else self.SANDBOX, "ListContainers": self.CONTAINER}
            return reply(answers.get(name, b""))

        with Server(node.root, answer) as server:
            result = run_module("cri_pods", capsys, check, endpoint=server.path, api=["v1"], grace=5)
            again = run_module("cri_pods", capsys, check, endpoint=server.path, api=["v1"], grace=5)
            return result, again, [method.rsplit("/", 1)[1] for method, _ in server.requests]

    def test_containers_first_then_sandboxes(self, node, capsys):
        node.unit("kubelet.service", ActiveState="inactive")
        result, again, asked = self.run(node, capsys)
        assert (result["pods"], result["stopped_containers"]) == (["default/web"], 1)
        assert again["changed"] is False
        assert asked[:6] == [
            "Version",
            "ListPodSandbox",
            "ListContainers",
            "StopContainer",
            "StopPodSandbox",
            "RemovePodSandbox",
        ]

    def test_check_mode_only_lists(self, node, capsys):
        node.unit("kubelet.service")
        result, again, asked = self.run(node, capsys, check=True)
        assert result["changed"] and again["changed"]
        assert set(asked) == {"Version", "ListPodSandbox"}

    def test_a_running_kubelet_is_refused(self, node, capsys):
        node.unit("kubelet.service")
        result, _, asked = self.run(node, capsys)
        assert "would start the pods again" in result["msg"]
        assert "StopPodSandbox" not in asked

    def test_what_cannot_be_removed_is_named(self, node, capsys):
        node.unit("kubelet.service", ActiveState="inactive")
        result, _, _ = self.run(node, capsys, refuse="StopPodSandbox")
        assert "1 of 1 pods could not be removed" in result["msg"]
        assert "default/web: CRI v1 StopPodSandbox" in result["msg"] and "device busy" in result["msg"]


class TestCriStatus:
    def test_missing_images_are_named(self, node, capsys):
        def answer(method, request):
            if method.endswith("Status") and "Runtime" in method:
                return reply(field(1, field(1, field(1, "RuntimeReady") + field(2, True))))
            return reply(field(1, b"") if b"here" in request else b"")

        with Server(node.root, answer) as server:
            good = run_module("cri_status", capsys, endpoint=server.path, images=["here:1", ""])
            assert (good["ready"], good["changed"]) == (True, False)
            bad = run_module("cri_status", capsys, endpoint=server.path, images=["here:1", "gone:1"])
            assert "does not have gone:1." in bad["msg"]

    def test_check_mode_warns_where_nothing_is_there_yet(self, node, capsys):
        result = run_module("cri_status", capsys, True, endpoint=str(node.root / "none.sock"))
        assert (result["ready"], result["changed"]) == (False, False)
        assert "does not exist" in json.dumps(result["warnings"])


class TestContainerdInstall:
    """With a package manager whose simulation is told; the real one is in test_node_packages and on lab nodes."""

    @pytest.fixture
    def apt(self, node):
        node.unit("containerd.service", LoadState="not-found", ActiveState="inactive", UnitFileState="")
        node.program("dpkg-query", f'case "$3" in *Version*) cat {node.root}/versions;; esac')
        node.program("apt-cache", 'echo " $2 | 1.6.20 | http://mirror.example/debian"')
        node.program("apt-mark", f'test "$1" = showhold && cat {node.root}/holds; echo "$@" >>{node.units}/calls')
        node.program(
            "apt-get",
            f"""case "$*" in *-s*) cat {node.root}/simulation; exit;; esac
            echo "apt-get" "$(echo "$*" | tr ' ' '\\n' | tail -n 1)" >>{node.units}/calls
            printf 'containerd\\t1.6.20\\tii \\n' >{node.root}/versions""",
        )
        for name in ("versions", "holds"):
            (node.root / name).write_text("")
        (node.root / "simulation").write_text("Inst containerd (1.6.20 Debian:12 [amd64])\n")
        return node

    def install(self, apt, check=False, **more):
        return apt.run("containerd_install", check, packages=[{"name": "containerd"}], **more)

    def calls(self, apt):
        return [line for line in apt.calls() if not line.startswith("showhold")]

    def test_once(self, apt):
        predicted = self.install(apt, check=True)
        assert self.calls(apt) == [] and not apt.journal.exists()
        result = self.install(apt)
        assert result["packages"] == predicted["packages"] == {"containerd": {"before": "", "after": "1.6.20"}}
        assert self.calls(apt) == ["apt-get containerd"]
        assert self.install(apt)["changed"] is False
        assert apt.written()["packages"] == {"containerd": {"before": "", "after": "1.6.20"}}
        assert apt.written()["units"]["containerd.service"]["active_state"] == "inactive"

    @pytest.mark.parametrize(
        ("line", "effect"),
        [
            ("Remv docker-ce [24.0]", "remove docker-ce"),
            ("Inst runc [1.1.4] (1.1.7 Ubuntu [amd64])", "change runc from 1.1.4 to 1.1.7"),
        ],
    )
    def test_side_effects_are_refused(self, apt, line, effect):
        (apt.root / "simulation").write_text(line + "\nInst containerd (1.6.20 Debian:12 [amd64])\n")
        result = self.install(apt)
        assert f"Installing containerd would also {effect}; nothing was changed." in result["msg"]
        assert self.calls(apt) == []

    def test_an_installed_version_stays(self, apt):
        (apt.root / "versions").write_text("containerd\t1.5.9\tii \n")
        assert self.install(apt)["changed"] is False

    @pytest.mark.parametrize("lists_know_better", [True, False])
    def test_a_file_that_is_gone_from_the_server(self, apt, lists_know_better):
        gone = "E: Failed to fetch http://mirror.example/c.deb  404  Not Found"
        apt.program(
            "apt-get",
            f"""case "$*" in
            *-s*) cat {apt.root}/simulation;;
            update*) echo update >>{apt.units}/calls; {"touch" if lists_know_better else ":"} {apt.root}/updated;;
            *) echo install >>{apt.units}/calls; test -e {apt.root}/updated || {{ echo "{gone}" >&2; exit 100; }}
            printf 'containerd\\t1.6.20\\tii \\n' >{apt.root}/versions;;
            esac""",
        )
        result = self.install(apt)
        assert self.calls(apt) == ["install", "update", "install"]
        if lists_know_better:
            assert result["packages"]["containerd"]["after"] == "1.6.20"
        else:
            assert gone[3:] in result["msg"] and "Nothing was installed" in result["msg"]

    def test_a_held_version_is_the_operators(self, apt):
        (apt.root / "versions").write_text("containerd\t1.5.9\tii \n")
        (apt.root / "holds").write_text("containerd\n")
        result = apt.run("containerd_install", packages=[{"name": "containerd", "version": "1.6.20"}])
        assert "containerd is on hold in version 1.5.9 on this node, but 1.6.20 is asked for" in result["msg"]

    def test_hold(self, apt):
        assert self.install(apt, hold=True)["held"] == ["containerd"]
        assert self.calls(apt) == ["apt-get containerd", "hold containerd"]
        assert apt.written()["notes"] == {"held_packages": ["containerd"]}

    def test_a_rollback_takes_off_the_holds_that_are_ours(self, apt):
        self.install(apt, hold=True)
        (apt.root / "holds").write_text("containerd\nkubelet\n")
        assert apt.run("containerd_install", check=True, state="restored")["held"] == ["containerd"]
        assert self.calls(apt)[-1] == "hold containerd"
        assert apt.run("containerd_install", state="restored")["changed"] is True
        assert self.calls(apt)[-1] == "unhold containerd"
        (apt.root / "holds").write_text("kubelet\n")
        assert apt.run("containerd_install", state="restored")["changed"] is False

    def test_a_rollback_leaves_an_operators_hold(self, apt):
        (apt.root / "versions").write_text("containerd\t1.6.20\tii \n")
        (apt.root / "holds").write_text("containerd\n")
        assert self.install(apt, hold=True)["held"] == []
        assert apt.run("containerd_install", state="restored")["changed"] is False
        assert self.calls(apt) == []

    def repository(self, apt, monkeypatch, **more):
        monkeypatch.setattr(
            "ansible.module_utils.unshim_node.docker_repository.APT_SOURCES", (str(apt.root / "sources"),)
        )
        key = (
            Path(__file__).with_name("test_node_docker_repository.py").read_text().split('b"""\\\n')[1].split('"""')[0]
        )
        (apt.root / "key").write_text(key)
        return {
            "url": "https://download.docker.example/linux/debian",
            "path": str(apt.root / "sources/docker.sources"),
            "content": "# Written by unshim\nTypes: deb\nURIs: https://download.docker.example/linux/debian\n",
            "key_path": str(apt.root / "keyrings/docker.asc"),
            "key": f"file://{apt.root}/key",
            **more,
        }

    def test_the_repository_comes_first_and_is_left_alone_then(self, apt, monkeypatch):
        repository = self.repository(apt, monkeypatch)
        predicted = self.install(apt, check=True, repository=repository)
        assert predicted["repository"] == repository["path"] and not (apt.root / "sources").exists()
        assert self.install(apt, repository=repository)["repository"] == repository["path"]
        assert self.calls(apt) == ["apt-get -q", "apt-get containerd"]
        assert Path(repository["path"]).read_text() == repository["content"]
        (apt.root / "versions").write_text("")
        assert self.install(apt, repository=repository)["repository"] == ""

    def test_the_repository_goes_again_if_the_installation_is_refused(self, apt, monkeypatch):
        (apt.root / "simulation").write_text("Remv docker.io [20.10]\nInst containerd (1.6.20 Docker:12 [amd64])\n")
        repository = self.repository(apt, monkeypatch)
        assert "would also remove docker.io; nothing was changed" in self.install(apt, repository=repository)["msg"]
        assert not Path(repository["path"]).exists() and not Path(repository["key_path"]).exists()

    def test_another_key_is_refused_before_anything_is_written(self, apt, monkeypatch):
        repository = self.repository(apt, monkeypatch, fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88")
        assert "has the fingerprint D4280A09" in self.install(apt, repository=repository)["msg"]
        assert not (apt.root / "sources").exists() and not apt.journal.exists()

    def test_another_repositorys_key_in_its_place_stays(self, apt, monkeypatch):
        repository = self.repository(apt, monkeypatch)
        there = Path(repository["key_path"])
        there.parent.mkdir()
        there.write_text("the key of a mirror\n")
        result = self.install(apt, repository=repository)
        assert there.read_text() == "the key of a mirror\n"
        assert result["failed"] and f"{there} is there and holds another key" in result["msg"]

    def test_a_password_in_an_address_is_not_shown(self, apt, monkeypatch):
        url = "https://ops:s3cr%C3%A9t-w0rd@mirror.example/docker/debian"
        repository = self.repository(apt, monkeypatch, url=url, key="https://ops:s3cr%C3%A9t-w0rd@[::1]:1/gpg")
        archive = {"name": "runc", "version": "1.3.6", "sha256": "0" * 64, "url": "http://x:an0ther-one@[::1]:1/runc"}
        failed = self.install(apt, repository=repository)
        assert "cannot be fetched" in failed["msg"]
        also_failed = apt.run("containerd_install", archives=[archive])
        assert "cannot be fetched" in also_failed["msg"]
        done = self.install(apt, repository={**repository, "key": f"file://{apt.root}/key"})
        assert "failed" not in done
        for result in (failed, also_failed, done, apt.written()):
            assert "w0rd" not in json.dumps(result) and "an0ther-one" not in json.dumps(result)

    def test_lists_that_do_not_know_it_are_updated(self, apt):
        result = apt.run("containerd_install", True, packages=[{"name": "containerd", "version": "1.7.0"}])
        assert result["changed"] and "do not know containerd 1.7.0" in json.dumps(result["warnings"])
        assert self.calls(apt) == []
        apt.run("containerd_install", packages=[{"name": "containerd", "version": "1.7.0"}])
        assert self.calls(apt)[0] == "apt-get -q"
