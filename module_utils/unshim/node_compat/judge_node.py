"""Judgements on the node itself, without a pod: what the runtime says, and what is left of Docker."""

from __future__ import annotations

from pathlib import PurePosixPath

from .. import host_kernel, runtimes
from .model import NotShown, Observed, Verdict, broken, differs, ok
from .observation import table

LOOPBACK = ("127.", "localhost", "[::1]")


def _on_containerd(observed: Observed) -> None:
    if observed.runtime != "containerd":
        raise NotShown("the node runs Docker")


def cri(now: Observed, before: Observed | None) -> Verdict:
    if now.runtime != "containerd":
        raise NotShown("the node runs Docker; the kubelet of dockershim answers itself")
    seen = now.text("node.cri")
    if seen.startswith("failed") or "RuntimeReady=true" not in seen or "NetworkReady=true" not in seen:
        return broken(seen)
    if now.get("node.cri-plugin", "ok") not in ("ok", ""):
        return broken(f"{seen}, but its CRI plugin is {now.get('node.cri-plugin')}")
    return ok(seen)


def complaints(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    if "node.config-problem" in now.values:
        return broken(now.text("node.config-problem"))
    lines = [line.strip() for line in now.text("node.complaints").splitlines() if line.strip()]
    unknown = [line for line in lines if "unknown key" in line.lower()]
    if unknown:
        return broken(f"containerd ignores a part of its settings: {'; '.join(unknown)}")
    return differs(f"deprecated: {'; '.join(lines)}") if lines else ok("containerd complains of none of its settings")


def metrics_address(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    address = now.text("node.metrics-address")
    if not address:
        raise NotShown("containerd's settings have no address for metrics")
    if address.startswith(LOOPBACK):
        return ok(address)
    return differs(f"{address} is open to the network and asks for no login")


def sockets(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    found = _entries(now)
    mode, owner, kind = found.get("/run/containerd/containerd.sock", ("", "", "nothing"))
    if kind != "socket":
        return broken(f"/run/containerd/containerd.sock is {kind}")
    if int(mode, 8) & 0o007:
        return broken(f"every user may use containerd's socket, and so is root ({mode} {owner})")
    directory = found.get("/run/containerd", ("", "", ""))
    if int(directory[0] or "0", 8) & 0o022:
        return broken(f"/run/containerd can be written by others ({directory[0]} {directory[1]})")
    return ok(f"socket {mode} {owner}, directory {directory[0]}")


def _entries(observed: Observed) -> dict[str, tuple[str, str, str]]:
    """Return {path: (mode, owner, kind)}; a kind may be several words."""
    found = {}
    for line in observed.text("node.entries").splitlines():
        words = line.split()
        if len(words) >= 4:
            found[words[-1]] = (words[0], words[1], " ".join(words[2:-1]))
    return found


def kernel(now: Observed, before: Observed | None) -> Verdict:
    seen = table(now.text("node.sysctls"))
    wrong = [
        f"{name} is {seen[name]}, not {wanted}"
        for name, wanted in sorted(host_kernel.SYSCTLS.items())
        if name in seen and seen[name] != wanted
    ]
    missing = set(host_kernel.MODULES) - set(now.text("node.modules").split())
    wrong += [f"the kernel module {name} is not loaded" for name in sorted(missing)]
    if wrong:
        return broken("; ".join(wrong))
    return ok(", ".join(f"{name} {seen[name]}" for name in sorted(host_kernel.SYSCTLS) if name in seen))


def reboot(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    problems = now.text("node.reboot-problems").splitlines()
    return (
        broken("; ".join(problems)) if problems else ok("units, modules and sysctls are set for a start on containerd")
    )


def docker_network(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    left = [f"chain {name}" for name in now.text("node.docker-chains").split()]
    left += [f"bridge {name}" for name in now.text("node.docker-links").split()]
    policy = now.get("node.forward-policy").strip()
    if left and now.text("node.docker") == "absent":
        return broken(f"Docker is gone, and has left {', '.join(left)}")
    if left:
        return differs(f"Docker is still installed; commit.yml removes {', '.join(left)}")
    if policy.endswith("DROP"):
        return differs("the policy of FORWARD is DROP; if Docker set it, it is ACCEPT from the next reboot on")
    return ok("no chain and no bridge of Docker's")


def docker_socket(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    kind = _entries(now).get("/run/docker.sock", ("", "", "nothing"))[2]
    if kind == "directory":
        return broken(
            "/run/docker.sock is a directory, made for a pod that mounts it: remove it, and see scan.yml for the pod"
        )
    return ok("no directory is in its place" if kind == "nothing" else f"/run/docker.sock is a {kind}")


def docker_down(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    state = now.text("node.docker")
    if state == "running":
        return broken("Docker runs beside containerd")
    problems = [line for line in now.text("node.reboot-problems").splitlines() if "docker" in line.lower()]
    return broken("; ".join(problems)) if problems else ok(f"Docker is {state}, and does not start")


def proxies(now: Observed, before: Observed | None) -> Verdict:
    mine = {name.upper() for name in now.text(f"node.proxies-{now.runtime}").split()}
    told = ", ".join(sorted(mine)) or "none"
    if before is None:
        raise NotShown(f"no earlier run to compare with; now {told}")
    lost = {name.upper() for name in before.text(f"node.proxies-{before.runtime}").split()} - mine
    if lost:
        return broken(f"{now.runtime} is no longer told {', '.join(sorted(lost))}")
    return ok(f"set: {told}")


def outlives_restart(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    mode = now.text("node.kill-mode")
    if mode == "process":
        return ok("KillMode=process: a restart of containerd leaves its containers running")
    return broken(f"KillMode={mode}: a restart of containerd kills its containers")


def handlers(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    mine = set(now.text("node.runtimes").split())
    if before is None or "node.docker-runtimes" not in before.values:
        raise NotShown(f"nothing to compare with; containerd has {', '.join(sorted(mine)) or 'none'}")
    had = {
        name
        for name in before.text("node.docker-runtimes").split()
        if name not in runtimes.RUNC_NAMES and not name.startswith("io.containerd.")
    }
    if had - mine:
        return broken(
            f"Docker had the runtimes {', '.join(sorted(had - mine))}, containerd has {', '.join(sorted(mine))}"
        )
    return ok(f"containerd has {', '.join(sorted(mine))}")


def shown_runtime(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("node.shown-runtime")
    return (
        ok(seen)
        if seen.startswith(now.runtime + "://")
        else broken(f"the cluster shows {seen or 'none'}, the node runs {now.runtime}")
    )


def cni_plugins(now: Observed, before: Observed | None) -> Verdict:
    _on_containerd(now)
    path, *needed = now.text("node.cni-network").split() or [""]
    if not path:
        return broken("no usable network configuration is where containerd looks for one")
    there = {PurePosixPath(line) for line in now.text("node.cni-plugins").splitlines() if line.strip()}
    missing = [name for name in (*needed, "loopback") if name not in {plugin.name for plugin in there}]
    directories = now.text("node.cni-directories").split(" ")[0] or "its default directory"
    if missing:
        return broken(f"{path} needs {', '.join(missing)}, which is not in {directories}, where containerd looks")
    return ok(f"{path}: {', '.join(needed)}, all in {directories}")
