"""What a kernel can do, seen by the probe in files that stand for the node's own."""

import os
import subprocess

import pytest

from unshim import observe

CGROUPS = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t54\t1\ncpu\t1\t145\t1\nmemory\t0\t1202\t0\npids\t8\t144\t1\n"
DEP = "kernel/fs/overlayfs/overlay.ko.xz:\nkernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko\n"


def kernel(root, **files):
    """The kernel of a node with these files below /proc, /sys/fs/cgroup and /lib/modules/RELEASE."""
    for path, content in files.items():
        place = root / path.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    script = observe.probe_script()
    script = script[: script.rindex("main <")]
    for top in ("/proc/filesystems", "/proc/modules", "/proc/cgroups", "/proc/sys/net/bridge", "/sys/fs/cgroup"):
        script = script.replace(top, f"{root}{top}")
    script = script.replace("/lib/modules/$(uname -r)", f"{root}/lib")
    script += "exec 2>/dev/null; printf '@@unshim-probe 1\\n'; show_kernel; printf '@@unshim-probe-end\\n'"
    done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    return observe.parse(done.stdout).kernel


@pytest.mark.parametrize(
    "files, loaded, absent",
    [
        ({"lib__modules.dep": DEP}, (), ()),  # there, and not loaded yet
        ({"lib__modules.dep": "kernel/fs/ext4.ko:\n"}, (), ("overlay", "br_netfilter")),
        ({"lib__modules.dep": "kernel/fs/not-overlay.ko:\nkernel/br_netfilter.ko.gz:\n"}, (), ("overlay",)),
        ({"lib__modules.dep": "x:\n", "lib__modules.builtin": DEP}, (), ()),
        ({}, (), ()),  # a container has no /lib/modules
        ({"lib__modules.dep": ""}, (), ()),
        ({"lib__modules.dep": "x:\n", "proc__filesystems": "nodev\toverlay\n"}, ("overlay",), ("br_netfilter",)),
        (
            {"lib__modules.dep": "x:\n", "proc__modules": "br_netfilter 32768 0 - Live 0x0\noverlay 1 0\n"},
            ("overlay", "br_netfilter"),
            (),
        ),
        ({"lib__modules.dep": "x:\n", "proc__filesystems": "nodev\tnotoverlay\n"}, (), ("overlay", "br_netfilter")),
    ],
)
def test_modules_that_are_loaded_and_those_that_no_one_could_load(tmp_path, files, loaded, absent):
    seen = kernel(tmp_path, **files)
    assert (seen.modules_loaded, seen.modules_absent) == (loaded, absent)


@pytest.mark.parametrize(
    "files, cgroup, controllers",
    [
        ({"proc__cgroups": CGROUPS, "sys__fs__cgroup__memory__x": ""}, "v1", ("cpuset", "cpu", "pids")),
        (
            {"proc__cgroups": CGROUPS, "sys__fs__cgroup__cgroup.controllers": "cpuset cpu io memory\n"},
            "v2",
            ("cpuset", "cpu", "io", "memory"),
        ),
        ({"proc__cgroups": CGROUPS, "sys__fs__cgroup__cgroup.controllers": "\n"}, "v2", ()),
        ({}, "", None),
    ],
)
def test_controllers(tmp_path, files, cgroup, controllers):
    seen = kernel(tmp_path, **files)
    assert (seen.cgroup, seen.controllers) == (cgroup, controllers)


def test_this_kernel():
    script = observe.probe_script()
    script = (
        script[: script.rindex("main <")] + "printf '@@unshim-probe 1\\n'; show_kernel; printf '@@unshim-probe-end\\n'"
    )
    done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    seen = observe.parse(done.stdout).kernel
    assert set(seen.modules_absent).isdisjoint(seen.modules_loaded)
    with open("/proc/filesystems", encoding="ascii") as stream:
        assert ("overlay" in seen.modules_loaded) >= ("overlay" in stream.read().split())
    assert seen.controllers is not None or not os.path.exists("/proc/cgroups")
