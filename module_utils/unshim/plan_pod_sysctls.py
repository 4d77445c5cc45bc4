"""The part of a plan that keeps ports below 1024 and ping open to processes without root, where Docker opened them."""

from __future__ import annotations

from . import containerd_config, containerd_imports, pod_sysctls
from .plan_draft import Draft
from .pod_sysctls import Option

# Safe sysctls since 1.22 and 1.18: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster, "Safe and Unsafe Sysctls".
_IN_THE_POD = (
    "set the sysctl {sysctls} in their pods' securityContext (before Kubernetes 1.22 the kubelet must allow "
    "net.ipv4.ip_unprivileged_port_start by --allowed-unsafe-sysctls)"
)


def plan_pod_sysctls(draft: Draft) -> tuple[tuple[str, bool], ...]:
    """Return the options that config.toml must set, as ContainerdSettings has them; warns where containerd has none."""
    version, kernel = draft.containerd.version, draft.facts.os.kernel
    lost = _docker_sets(draft)
    if pod_sysctls.must_be_off(version, kernel):
        if lost:
            _warn_not_carried(
                draft, lost, f"on the kernel {kernel} containerd {version} works only with {_keys(lost)} off"
            )
        return tuple((option.key, False) for option in pod_sysctls.OPTIONS)
    if lost and not pod_sysctls.is_known(version):
        _warn_not_carried(draft, lost, f"containerd {version} has no {_keys(lost)}")
        return ()
    return () if pod_sysctls.is_default(version) else tuple((option.key, True) for option in lost)


def _docker_sets(draft: Draft) -> tuple[Option, ...]:
    if draft.settings.goal != "migrate":
        return ()
    remapped = bool(draft.daemon_json.get("userns-remap"))
    return pod_sysctls.set_by_docker(draft.facts.docker.version, draft.facts.os.kernel, remapped)


def _warn_not_carried(draft: Draft, lost: tuple[Option, ...], why: str) -> None:
    kernel = (
        " a newer kernel,"
        if pod_sysctls.is_default(draft.containerd.version)
        else " containerd 1.6 or newer (unshim_containerd_version),"
    )
    sysctls = " and ".join(f"{option.sysctl}={option.value}" for option in lost)
    draft.warn(
        "unprivileged-ports-lost",
        f"with Docker {draft.facts.docker.version}, processes without root may {_allowed(lost)}; {why}, so they no longer may",
        f"Use{kernel} give such programs a port from 1024 on, or {_IN_THE_POD.format(sysctls=sysctls)}.",
    )


def check_pod_sysctls(draft: Draft, text: str) -> None:
    """Tell where config.toml with this text, or a file that it imports, ends what Docker's pods have: theirs is kept.

    Of a node that has moved already it is told all the same, and not changed.
    """
    version = draft.containerd.version
    if not pod_sysctls.is_known(version) or pod_sysctls.must_be_off(version, draft.facts.os.kernel):
        return
    path = containerd_config.PATH
    whole = containerd_imports.load(path, text, draft.facts.files, version)
    is_2 = pod_sysctls.is_default(version)
    plugin = containerd_config.CRI_RUNTIME if is_2 else containerd_config.CRI
    found: dict[tuple[str, str], list[Option]] = {}
    for option in _docker_sets(draft):
        now = containerd_imports.value(whole.data, ("plugins", plugin, option.key))
        if now is not True and not (now is None and is_2):
            found.setdefault(containerd_imports.deciding(whole, option.key, version), []).append(option)
    has_moved = draft.source == "containerd"
    for (file, table), lost in found.items():
        options = tuple(lost)
        tell = draft.note if has_moved else draft.warn
        tell(
            "unprivileged-ports-off",
            f"{file} leaves {_keys(options)} off, while with Docker {draft.facts.docker.version} processes without root may "
            f"{_allowed(options)}; the file is kept",
            f"If pods should go on so, set {' and '.join(f'{option.key} = true' for option in options)} there, in {table}"
            + (", and restart containerd: new pods then have it." if has_moved else "."),
        )


def _keys(options: tuple[Option, ...]) -> str:
    return " and ".join(option.key for option in options)


def _allowed(options: tuple[Option, ...]) -> str:
    return " and ".join(option.allows for option in options)
