"""The work of the module ``runtime_switch``: a drained node goes from Docker to containerd.

The order is that of least harm. Whatever can refuse does so while the kubelet still runs on Docker; Docker stops before the
kubelet starts anew, so that no pod runs twice; containerd gets another data directory only when nothing runs in the old one.
"""

from . import containerd_config, cri, cri_proof, docker_engine, docker_retirement, docker_stop, kubelet_switch
from .module_run import Part


def switch(module, journal):
    """Carry the switch out and return the module's result."""
    params = module.params
    for_containerd = [one for one in params["files"] if one["role"] == "containerd_config"]
    for_kubelet = Part(
        module,
        files=[one for one in params["files"] if one["role"] != "containerd_config"],
        **{name: params[name] for name in ("endpoint", "timeout", "watch", "unit")},
    )
    if not module.check_mode:  # in check mode nothing was prepared, so there is nothing to prove
        prove(params, ["RuntimeReady", "NetworkReady"], "" if params["new_root"] else params["sandbox_image"])
        kubelet_switch.check(for_kubelet, journal)
        if docker_engine.running():
            docker_stop.note_root(journal)
    outcomes = [kubelet_switch.stopped(for_kubelet, journal), retire_docker(module, journal)]
    if params["new_root"]:
        outcomes.append(move_containerd(module, journal, for_containerd))
        if not module.check_mode:
            prove(params, ["RuntimeReady"], params["sandbox_image"])
    started = kubelet_switch.on_containerd(for_kubelet, journal)
    outcomes.append(started)
    is_new = journal.set_state("switched")
    return {
        "changed": is_new or any(one["changed"] for one in outcomes),
        "changed_files": [path for one in outcomes for path in one.get("changed_files", [])],
        "stopped": outcomes[1]["stopped"],
        "pid": started["pid"],
        "command_line": started["command_line"],
        "diff": [diff for one in outcomes for diff in as_list(one["diff"])],
    }


def prove(params, require, image):
    """Raise if the runtime is not what the kubelet needs; with an image, that one is there."""
    cri_proof.ask(
        {
            "endpoint": params["endpoint"],
            "api": params["cri_api"],
            "require": require,
            "images": [image],
            "timeout": params["cri_timeout"],
        }
    )


def retire_docker(module, journal):
    params = module.params
    names = ("stop_foreign", "grace_limit", "cni_cache_dir", "cni_conf_dir", "cni_bin_dirs")
    part = Part(
        module,
        kubelet_unit=params["unit"],
        containerd_socket=cri.socket_file(params["endpoint"]),
        **{name: params[name] for name in names},
    )
    outcome = docker_retirement.retired(part, journal)
    for warning in outcome["warnings"]:
        module.warn(warning)
    return outcome


def move_containerd(module, journal, changes):
    params = module.params
    part = Part(
        module,
        files=changes,
        copies=[],
        earlier=params["earlier"],
        modules=[],
        sysctls={},
        containerd_version="",
        socket=cri.socket_file(params["endpoint"]),
        cri_api=params["cri_api"],
        cri_timeout=params["cri_timeout"],
    )
    return containerd_config.present(part, journal)


def as_list(diff):
    return diff if isinstance(diff, list) else [diff]
