"""The work of the module ``docker_retire`` with ``state: retired``: everything of Docker's is stopped, and stays so.

``module`` is what has its parameters: an AnsibleModule, or a module_run.Part of one.
"""

from . import docker_engine, docker_stop, docker_units


def retired(module, record):
    params = module.params
    retirement = docker_stop.Retirement(
        stop_foreign=params["stop_foreign"],
        grace_limit=params["grace_limit"],
        kubelet_unit=params["kubelet_unit"],
        containerd_socket=params["containerd_socket"],
        cni={
            "cache_directory": params["cni_cache_dir"],
            "config_directory": params["cni_conf_dir"],
            "plugin_directories": params["cni_bin_dirs"],
        },
    )
    root = record.get(docker_stop.DATA_ROOT, docker_engine.DEFAULT_ROOT)
    containers, units = docker_stop.survey(retirement, root, module.check_mode)
    stopping = [docker_engine.described(c) for wave in docker_stop.to_stop(containers) for c in wave]
    before = unit_lines(units)
    changed = not all(docker_units.is_retired(unit, state) for unit, state in units.items())
    outcome = {"changed": changed, "stopped": stopping, "units": units, "warnings": []}
    if not changed:
        docker_stop.prove(params["containerd_socket"], root)
    elif not module.check_mode:
        with record.step("retire Docker", "switch", undo="systemctl unmask docker.socket docker.service"):
            record.mark("docker stopping")
            outcome["warnings"] = docker_stop.retire(retirement, record, containers, units)
            record.mark("docker stopped")
    after = ["%s: inactive, kept from starting" % unit for unit in units] if changed else before
    outcome["diff"] = diff(["running: %s" % name for name in stopping] + before, after)
    return outcome


def unit_lines(units):
    return [
        "%s: %s, %s" % (unit, state["ActiveState"], state["UnitFileState"]) for unit, state in sorted(units.items())
    ]


def diff(before, after):
    return {
        "before": "".join("%s\n" % line for line in before),
        "after": "".join("%s\n" % line for line in after),
        "before_header": "Docker",
        "after_header": "Docker",
    }
