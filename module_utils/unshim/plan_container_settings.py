"""The part of a plan that keeps containers what they were on Docker: their runtime, their limits, where they are stored."""

from __future__ import annotations

from typing import Any

from . import compat, containerd_config, rlimits, runtimes, snapshotter
from .plan_data_root import mount_of
from .plan_draft import Draft


def plan_container_settings(draft: Draft, data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of ContainerdSettings that are about containers, and plan the files they need.

    Args:
        data: config.toml as it is.
    """
    settings = draft.daemon_json
    found: dict[str, Any] = {**_runtimes(draft, data), "base_runtime_spec": _limits(draft, data)}
    found["snapshotter"] = _snapshotter(draft, data)
    found["enable_selinux"] = settings.get("selinux-enabled") is True
    downloads = settings.get("max-concurrent-downloads")
    if isinstance(downloads, int) and not isinstance(downloads, bool) and downloads > 0:
        found["max_concurrent_downloads"] = downloads
        own = containerd_config.max_concurrent_downloads(data)
        if own is not None and own != downloads:
            draft.note(
                "max-concurrent-downloads-kept",
                f"{containerd_config.PATH} sets max_concurrent_downloads = {own}, Docker's is {downloads}; the file's is kept",
            )
    return found


def _runtimes(draft: Draft, data: dict[str, Any]) -> dict[str, Any]:
    path = containerd_config.PATH
    docker = draft.facts.docker
    carried = runtimes.carried(draft.daemon_json, draft.facts.programs, docker.default_runtime, docker.runtime_programs)
    for problem in carried.problems:
        if problem.is_default:
            draft.block("default-runtime-unusable", f"{problem.message}; pods would not start with it", problem.remedy)
        else:
            draft.warn("runtime-not-carried", f"{problem.message}, so it is not carried over", problem.remedy)
    there = containerd_config.runtimes(data)
    for runtime in carried.runtimes:
        own = there.get(runtime.name)
        if (
            own
            and _program(own) != str(runtime.options.get("BinaryName", ""))
            and own.get("runtime_type") in (None, "", runtime.type)
        ):
            draft.warn(
                "runtime-exists",
                f"{path} has a runtime {runtime.name} that calls {_program(own) or 'runc'}, Docker's calls "
                f"{runtime.options.get('BinaryName') or runtime.type}; the one in the file is kept",
                "Make them the same if pods need Docker's.",
            )
    if containerd_config.has_deprecated_default_runtime(data):
        draft.block(
            "deprecated-default-runtime",
            f"{path} has a table default_runtime, which decides what pods run with whatever else it says",
            "Write it as a table under runtimes and name that in default_runtime_name.",
        )
    default = containerd_config.default_runtime(data)
    if default not in ("", "runc", carried.default) and not carried.default:
        draft.warn(
            "default-runtime-kept",
            f"{path} makes {default} the default runtime, while pods on Docker ran with runc; the file is kept",
            f"Take default_runtime_name out of {path} if pods should go on with runc.",
        )
    for script, text in carried.scripts.items():
        if not there.get(script.removeprefix(runtimes.WRAPPERS)):
            draft.change(script, "prepare", "calls Docker's runtime with its arguments", text, "other", mode="0755")
    return {"runtimes": carried.runtimes, "default_runtime": carried.default}


def _program(table: dict[str, Any]) -> str:
    options = table.get("options")
    value = options.get("BinaryName") if isinstance(options, dict) else None
    return value if isinstance(value, str) else ""


def _limits(draft: Draft, data: dict[str, Any]) -> str:
    """Plan that containers keep their limits; returns the path of a base_runtime_spec if they need one."""
    facts, version = draft.facts, draft.containerd.version
    configured, odd = rlimits.default_ulimits(draft.daemon_json.get("default-ulimits"))
    for entry in odd:
        draft.warn("ulimit-not-understood", f"default-ulimits: {entry} is no limit that Docker knows, and is left out")
    if not draft.daemon_json and not facts.docker.installed:
        return ""
    pod = facts.limits.get("pod", {})
    if not pod and draft.file(rlimits.SPEC).content is not None:
        return rlimits.SPEC  # planned while there were pods to measure
    if compat.parse_version(version) != compat.parse_version(facts.containerd.version):
        if configured or pod:
            draft.note(
                "limits-planned-later",
                "whether pods keep their resource limits is seen, and planned for, once this containerd is installed",
            )
        return ""
    after = rlimits.inherited(facts.limits.get("containerd", {}), facts.containerd.unit_limits)
    _say_if_not_in_effect(draft, pod, configured)
    before = dict(pod) or {**after, **configured}
    lost = rlimits.different(before, {**{name: (-2, -2) for name in configured}, **after})
    if not lost:
        return ""
    if not rlimits.spec_counts(version):
        _limit_the_daemon(draft, lost, after)
        return ""
    try:
        text = rlimits.base_spec(facts.containerd.oci_spec, lost)
    except ValueError as error:
        _warn_lost(draft, lost, after, f"{error}", "Install ctr, which comes with containerd, and plan again.")
        return ""
    _say_if_runtimes_have_their_own(draft, data, lost)
    draft.change(
        rlimits.SPEC,
        "prepare",
        f"limits as containers have them on Docker: {rlimits.shown_all(lost)}",
        text,
        "containerd_config",
    )
    return rlimits.SPEC


def _say_if_not_in_effect(draft: Draft, pod: rlimits.Limits, configured: rlimits.Limits) -> None:
    differ = rlimits.different(configured, pod)
    if differ:
        draft.warn(
            "ulimits-not-in-effect",
            f"default-ulimits says {rlimits.shown_all(differ)}, but the newest pod on this node runs with "
            f"{rlimits.shown_all({name: pod[name] for name in differ})}; pods keep what they have",
            "Restart Docker and plan again, if pods should get what the setting says.",
        )


def _say_if_runtimes_have_their_own(draft: Draft, data: dict[str, Any], lost: rlimits.Limits) -> None:
    for name, table in containerd_config.runtimes(data).items():
        own = table.get("base_runtime_spec")
        if own and own != rlimits.SPEC:
            draft.warn(
                "base-runtime-spec-kept",
                f"{containerd_config.PATH}: runtime {name} has a base_runtime_spec of its own, {own}, which is kept",
                f"See that its process.rlimits say {rlimits.shown_all(lost)}.",
            )


def _limit_the_daemon(draft: Draft, lost: rlimits.Limits, after: rlimits.Limits) -> None:
    """Before 1.5, containers get the limits of containerd itself, so only what that can live with is set."""
    safe = {name: limit for name, limit in lost.items() if name in rlimits.SAFE_FOR_THE_DAEMON}
    soft = safe.get("nofile", (rlimits.UNLIMITED, 0))[0]
    if soft != rlimits.UNLIMITED and soft < rlimits.OWN_OPEN_FILES:
        del safe["nofile"]
    unsafe = {name: limit for name, limit in lost.items() if name not in safe}
    if not compat.knows_soft_and_hard_limits(draft.facts.os):
        unread = {name: limit for name, limit in safe.items() if limit[0] != limit[1]}
        safe = {name: limit for name, limit in safe.items() if name not in unread}
        if unread:
            _warn_lost(
                draft,
                unread,
                after,
                f"containerd {draft.containerd.version} gives containers its own limits, and this system's systemd can set only "
                "one number for soft and hard",
                "Use containerd 1.5 or newer (unshim_containerd_version), where containers have limits of their own.",
            )
    if unsafe:
        _warn_lost(
            draft,
            unsafe,
            after,
            f"containerd {draft.containerd.version} gives containers its own limits, and could not work with these itself",
            "Use containerd 1.5 or newer (unshim_containerd_version), where containers have limits of their own.",
        )
    if safe:
        now = rlimits.limits_of_drop_in(draft.file(rlimits.DROP_IN).content or "")
        draft.change(
            rlimits.DROP_IN,
            "prepare",
            f"limits as containers have them on Docker: {rlimits.shown_all(safe)}",
            rlimits.drop_in({**now, **safe}),
            "other",
        )


def _warn_lost(draft: Draft, lost: rlimits.Limits, after: rlimits.Limits, why: str, remedy: str) -> None:
    gets = {name: after[name] for name in lost if name in after}
    draft.warn(
        "limits-not-carried",
        f"containers on Docker have {rlimits.shown_all(lost)} and will have "
        f"{rlimits.shown_all(gets) if gets else 'what containerd has'}: {why}",
        remedy,
    )


def _snapshotter(draft: Draft, data: dict[str, Any]) -> str:
    draft.snapshotter = containerd_config.snapshotter(data)
    if draft.snapshotter:
        return ""
    facts = draft.facts
    directory = draft.containerd_root or draft.containerd_root_now
    plugins = facts.containerd.snapshotters if directory == draft.containerd_root_now else {}
    driver = draft.daemon_json.get("storage-driver") or facts.docker.storage_driver
    choice = snapshotter.choose(
        driver if isinstance(driver, str) else "", directory, mount_of(facts, directory), plugins
    )
    if choice.problem:
        draft.block("snapshotter-unusable", choice.problem, choice.remedy)
    if choice.note:
        draft.note("snapshotter", choice.note)
    draft.snapshotter = choice.name
    return choice.name
