"""Faults of containerd: it refuses its configuration, starts without CRI, or cannot have its socket."""

import node_snapshot
import pytest

SOCKET = "/run/containerd/containerd.sock"
SITE = "/etc/containerd/conf.d/90-site.toml"
# What an administrator has: a directory of files of their own beside config.toml.
IMPORTS = """
grep -q '^imports' /etc/containerd/config.toml || sed -i '1a imports = ["/etc/containerd/conf.d/*.toml"]' /etc/containerd/config.toml
mkdir -p /etc/containerd/conf.d
printf 'version = 2\\n[debug]\\n  level = "info"\\n' >/etc/containerd/conf.d/10-site.toml
systemctl restart containerd
"""
NO_IMPORTS = """
rm -rf /etc/containerd/conf.d
sed -i '/^imports/d' /etc/containerd/config.toml
systemctl restart containerd
"""


@pytest.fixture
def imports(fault):
    before = fault.files
    fault.on(IMPORTS)
    fault.files = node_snapshot.take(fault.lab, fault.victim)
    yield
    fault.lab.back_to_docker(fault.victim)
    fault.on(NO_IMPORTS)
    fault.files = before


@pytest.mark.fault(10, "containerd refuses its new configuration")
def test_containerd_refuses(fault, imports):
    """A broken file of the administrator's comes between the check of the new configuration and containerd's restart, so
    that containerd does not start with the old one either."""
    fault.undo(lambda: fault.on(f"rm -f {SITE}"))
    fault.on(
        "systemd-run --collect --unit lab-breaker --property Restart=no sh -c "
        f"'until grep -q unshim /etc/containerd/config.toml; do :; done; echo \"version = [\" >{SITE}'"
    )
    fault.undo(lambda: fault.on("systemctl stop lab-breaker; true"))
    run = fault.start()
    run.wait_for_task("containerd : Configure containerd for CRI and prove that it answers")
    fault.injected("between the check of the configuration and containerd's restart")
    fault.failed(run.finish(), SITE, "containerd")
    fault.safe("docker")
    assert fault.on("systemctl is-active containerd", check=False).strip() != "active", "the fault came too late"
    assert "unshim" not in fault.on("cat /etc/containerd/config.toml")
    fault.remove_cause()
    fault.rerun()


@pytest.mark.fault(11, "containerd starts, and CRI does not load")
def test_cri_does_not_load(fault, imports):
    run = fault.start()
    run.wait_for_task("containerd : Install containerd")
    disabled = 'version = 2\\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\\n'
    fault.on(f"printf '{disabled}' >{SITE}")
    fault.undo(lambda: fault.on(f"rm -f {SITE}"))
    fault.injected("between the plan and containerd's configuration")
    fault.failed(run.finish(), "CRI", "disabl")
    fault.safe("docker")
    assert fault.on("systemctl is-active containerd").strip() == "active"
    fault.remove_cause()
    fault.keeps_data()
    fault.rerun()


@pytest.mark.fault(23, "a directory has the place of containerd's socket")
def test_socket_taken_by_a_directory(fault):
    """The running containerd goes on, and Docker with it; neither would survive a restart of containerd."""
    containers = fault.lab.docker_containers(fault.victim)
    fault.on(f"rm {SOCKET}; mkdir {SOCKET}")
    fault.undo(lambda: fault.on(f"[ ! -d {SOCKET} ] || {{ rmdir {SOCKET}; systemctl restart containerd; }}"))
    fault.injected("before the run")
    fault.failed(fault.migrate(), f"{SOCKET} is a directory", f"rmdir {SOCKET}")
    fault.safe("docker")
    assert fault.lab.docker_containers(fault.victim) == containers
    assert fault.on("systemctl is-active containerd").strip() == "active", "it was restarted, and could not start"

    # As it would be if a pod had made it after the plan.
    fault.on(f"rmdir {SOCKET}; systemctl restart containerd")
    run = fault.start()
    run.wait_for_task("containerd : Install containerd")
    fault.on(f"rm {SOCKET}; mkdir {SOCKET}")
    fault.failed(run.finish(), f"{SOCKET} is a directory", f"rmdir {SOCKET}")
    fault.safe("docker")
    assert fault.on("systemctl is-active containerd").strip() == "active"
    fault.keeps_data()
    fault.remove_cause()
    fault.rerun()
