"""Kernel modules and sysctls over a reboot."""

import pytest

from unshim import host_kernel
from unshim.facts import File, Kernel

OURS = "net.ipv4.ip_forward=1\nnet/bridge/bridge-nf-call-iptables = 1\n- net.bridge.bridge-nf-call-ip6tables=1\n"


def at(path, text):
    return {path: File(path, "file", text)}


def test_a_node_without_any():
    text, overriding = host_kernel.sysctl_file({})
    assert overriding == []
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "net.bridge.bridge-nf-call-ip6tables = 1",
        "net.bridge.bridge-nf-call-iptables = 1",
        "net.ipv4.ip_forward = 1",
    ]
    assert host_kernel.modules_file({}).splitlines()[1:] == ["overlay", "br_netfilter"]


@pytest.mark.parametrize("path", ["/etc/sysctl.d/k8s.conf", "/usr/lib/sysctl.d/50-x.conf", "/run/sysctl.d/a.conf"])
def test_another_file_that_sets_all_is_enough(path):
    assert host_kernel.sysctl_file(at(path, OURS)) == (None, [])


@pytest.mark.parametrize(
    "changes",
    [
        at("/etc/sysctl.d/k8s.conf", OURS.replace("=1", "=0")),
        at("/etc/sysctl.d/k8s.conf", "# " + OURS),
        at("/etc/sysctl.d/k8s.txt", OURS),
        {
            **at("/usr/lib/sysctl.d/k8s.conf", OURS),
            **at("/etc/sysctl.d/k8s.conf", ""),
        },  # /etc hides the same name below /usr
    ],
)
def test_another_file_that_does_not(changes):
    assert host_kernel.sysctl_file(changes)[0] is not None


def test_a_later_file_that_takes_it_back_is_told():
    found = host_kernel.sysctl_file(at("/etc/sysctl.d/zz.conf", "net.ipv4.ip_forward = 0\n"))[1]
    assert found == [("/etc/sysctl.d/zz.conf", "net.ipv4.ip_forward", "0")]


def test_modules_named_elsewhere_and_with_a_dash():
    assert host_kernel.modules_file(at("/etc/modules-load.d/k8s.conf", "overlay\nbr-netfilter\n")) is None
    assert host_kernel.modules_file(at("/etc/modules-load.d/k8s.conf", "overlay\n")) is not None


def test_our_own_files_do_not_count_as_others():
    text = host_kernel.sysctl_file({})[0]
    assert host_kernel.sysctl_file(at(host_kernel.SYSCTL_FILE, text))[0] == text


def test_what_the_kernel_lacks_now():
    kernel = Kernel(modules_loaded=("overlay",), sysctls={"net.ipv4.ip_forward": "1"})
    assert host_kernel.modules_to_load(kernel) == ("br_netfilter",)
    assert set(host_kernel.sysctls_to_set(kernel)) == {
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
    }


def test_a_module_that_the_kernel_has_not_is_not_loaded():
    assert host_kernel.modules_to_load(Kernel()) == ("overlay", "br_netfilter")
    assert host_kernel.modules_to_load(Kernel(modules_absent=("br_netfilter",))) == ("overlay",)
