"""What is true of every node unshim made or moved. For anybody's nodes, not only the lab's:

pytest tests/nodes --ansible-inventory=INVENTORY --hosts=ansible://kube_node
"""

import tomllib

import pytest

ENDPOINT = "unix:///run/containerd/containerd.sock"


@pytest.fixture
def config(host):
    """The configuration as the installed containerd understands it."""
    return tomllib.loads(host.check_output("containerd config dump"))


@pytest.fixture
def cri(config):
    """The CRI tables, {"runtime": ..., "images": ...}, whichever schema this containerd writes."""
    plugins = config["plugins"]
    if config["version"] >= 3:
        return {"runtime": plugins["io.containerd.cri.v1.runtime"], "images": plugins["io.containerd.cri.v1.images"]}
    return {"runtime": plugins["io.containerd.grpc.v1.cri"], "images": plugins["io.containerd.grpc.v1.cri"]}


@pytest.fixture
def kubelet_command_line(host):
    """The running kubelet's command line; empty on a node that has none yet."""
    pid = host.check_output("systemctl show kubelet -p MainPID --value || true").strip()
    if pid in ("", "0"):
        return []
    return host.check_output(f"tr '\\0' '\\n' </proc/{pid}/cmdline").splitlines()


def test_containerd_runs_and_will_run_after_a_reboot(host):
    service = host.service("containerd")
    assert service.is_running
    assert service.is_enabled


def test_cri_plugin_is_loaded(host, config):
    listed = [line.split() for line in host.check_output("ctr plugins ls").splitlines()]
    states = {words[1]: words[-1] for words in listed if len(words) > 3 and "cri" in words[1]}
    assert states and all(state == "ok" for state in states.values()), states
    assert not any("cri" in name for name in config.get("disabled_plugins") or [])


def test_cgroup_driver_is_the_kubelets(host, cri, kubelet_command_line):
    options = cri["runtime"]["containerd"]["runtimes"]["runc"]["options"]
    # containerd 1.4 reads a runtime's options and leaves them out of its dump.
    written = tomllib.loads(host.check_output("cat /etc/containerd/config.toml"))["plugins"]
    options = options or written["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["runc"]["options"]
    systemd = options["SystemdCgroup"]
    if not kubelet_command_line:
        assert systemd == (host.check_output("cat /proc/1/comm").strip() == "systemd")
        return
    path = next((flag.split("=", 1)[1] for flag in kubelet_command_line if flag.startswith("--config=")), "")
    driver = host.check_output(f"sed -n 's/^cgroupDriver: *//p' {path}") if path else "cgroupfs"
    assert systemd == (driver.strip() == "systemd")


def test_sandbox_image_is_the_kubelets(host, cri, kubelet_command_line):
    sandbox = cri["runtime"].get("sandbox_image") or cri["images"]["pinned_images"]["sandbox"]
    wanted = [flag.split("=", 1)[1] for flag in kubelet_command_line if flag.startswith("--pod-infra-container-image=")]
    assert sandbox
    if wanted:
        assert sandbox == wanted[-1]
        assert sandbox in host.check_output("ctr -n k8s.io images ls -q").split()
        assert "io.cri-containerd.pinned=pinned" in host.check_output(f"ctr -n k8s.io images ls name=={sandbox}")


def test_registry_settings_have_one_home(host, cri):
    registry = cri["images"]["registry"]
    if " 1.4." in host.check_output("containerd --version"):
        assert "config_path" not in registry  # came with 1.5; before, registry.mirrors is all there is
    else:
        assert registry["config_path"] == "/etc/containerd/certs.d"


def test_cni_directories_hold_what_containerd_needs(host, cri):
    cni = cri["runtime"]["cni"]
    directories = [cni["bin_dir"]] if cni.get("bin_dir") else cni["bin_dirs"]
    assert any(host.file(f"{directory}/loopback").exists for directory in directories)
    assert cni["conf_dir"] == "/etc/cni/net.d"


def test_kernel_settings_are_live_and_persist(host):
    persisted = (
        host.check_output("cat /etc/sysctl.d/*.conf /etc/sysctl.conf 2>/dev/null || true").replace(" ", "").splitlines()
    )
    for name in ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"):
        assert host.sysctl(name) == 1
        assert f"{name}=1" in persisted
    modules = host.check_output("cat /etc/modules-load.d/*.conf").split()
    assert {"overlay", "br_netfilter"} <= set(modules)


def test_crictl_knows_the_endpoint(host):
    assert f"runtime-endpoint: {ENDPOINT}" in host.file("/etc/crictl.yaml").content_string.replace('"', "")


def test_kubelet_speaks_to_containerd(host, kubelet_command_line):
    if not kubelet_command_line:
        assert not host.service("docker").is_running
        return
    assert f"--container-runtime-endpoint={ENDPOINT}" in kubelet_command_line
    assert not any(flag.startswith("--network-plugin") for flag in kubelet_command_line)


def test_docker_is_down_and_stays_down(host):
    for unit in ("docker.service", "docker.socket"):
        state = host.run(f"systemctl is-enabled {unit}").stdout.strip()
        assert not host.service(unit).is_running
        assert state in ("masked", "", "not-found"), f"{unit} is {state}"
