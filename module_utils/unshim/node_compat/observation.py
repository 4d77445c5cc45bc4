"""From what node and containers print, and from what the cluster says, to values by name."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from .. import cni, containerd_config, reboot
from ..facts import Facts
from ..sections import Section, split

Json = Mapping[str, Any]


def script(name: str) -> str:
    """Return one of the scripts beside this file."""
    return resources.files(__package__ or "unshim.node_compat").joinpath(name).read_text(encoding="utf-8")


def from_sections(group: str, text: str) -> dict[str, str]:
    """Return {"GROUP.SECTION": its lines} of what a script printed; of sections of one name the lines of all.

    Raises:
        ProbeError: it did not run, or its output was cut off.
    """
    values: dict[str, str] = {}
    for section in split(text):
        name = f"{group}.{section.name}"
        lines = _lines(section)
        values[name] = f"{values[name]}\n{lines}" if values.get(name) else lines
    return values


def _lines(section: Section) -> str:
    return "\n".join(section.lines).strip("\n")


def from_node(text: str, facts: Facts) -> dict[str, str]:
    """Return what ``node.sh`` printed, with what checks need of containerd's configuration instead of all of it."""
    values = from_sections("node", text)
    dump = values.pop("node.config", "")
    if dump:
        values.update(_of_config(dump))
    directory = values.get("node.cni-directories", "").partition(" ")[2] or cni.CONF_DIR
    network = cni.read(facts.files, directory)
    values["node.cni-network"] = " ".join((network.path, *network.plugins)) if network.path else ""
    return values


def _of_config(dump: str) -> dict[str, str]:
    try:
        data = tomllib.loads(dump)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        return {"node.config-problem": f"containerd config dump is not TOML: {error}"}
    bin_dir, conf_dir = containerd_config.cni_directories(data)
    servers = data.get("plugins", {}).get("io.containerd.server.v1.metrics") or {}
    metrics = {**(data.get("metrics") or {}), **servers}  # the second from version 4 on
    return {
        "node.runtimes": " ".join(sorted(containerd_config.runtimes(data))),
        "node.cni-directories": f"{bin_dir} {conf_dir}",
        "node.sandbox-image": containerd_config.sandbox_image(data),
        "node.metrics-address": str(metrics.get("address", "")),
    }


def from_facts(facts: Facts) -> dict[str, str]:
    """Return what the facts of a node say of it."""
    values = {
        "node.sysctls": "\n".join(f"{name} {value}" for name, value in sorted(facts.kernel.sysctls.items())),
        "node.modules": " ".join(sorted(facts.kernel.modules_loaded)),
        "node.docker": "running" if facts.docker.answers else "installed" if facts.docker.installed else "absent",
        "node.hostname": facts.hostname,
        "node.addresses": " ".join(facts.addresses),
    }
    if facts.docker.answers:
        values["node.docker-runtimes"] = " ".join(facts.docker.runtimes)
        values["node.docker-images"] = "\n".join(sorted(tag for image in facts.docker.images for tag in image.tags))
    else:
        values["node.reboot-problems"] = "\n".join(reboot.judge(facts).problems)
        values["node.moby-tasks"] = str(facts.containerd.moby_tasks)
    if facts.containerd.answers:
        values["node.cri-plugin"] = facts.containerd.cri_plugin
        values["node.images"] = "\n".join(sorted(facts.containerd.k8s_images))
    unit = facts.units.get("containerd.service")
    if unit is not None:
        values["node.kill-mode"] = unit.kill_mode
    return values


def from_cri(result: Json) -> dict[str, str]:
    """Return what the module ``cri_status`` said."""
    said = result.get("cri") or {}
    conditions = {
        name: bool(condition.get("status")) for name, condition in sorted((said.get("conditions") or {}).items())
    }
    told = " ".join(f"{name}={str(value).lower()}" for name, value in conditions.items())
    if not said or result.get("failed"):
        return {"node.cri": f"failed: {' '.join(str(result.get('msg') or 'it said nothing').split())}"}
    return {
        "node.cri": f"{said.get('api', '')} {said.get('runtime_name', '')} {said.get('runtime_version', '')} {told}".strip()
    }


def from_cluster(node: Json) -> dict[str, str]:
    """Return what the cluster says of the node."""
    info = (node.get("status") or {}).get("nodeInfo") or {}
    addresses = (node.get("status") or {}).get("addresses") or ()
    return {
        "node.shown-runtime": info.get("containerRuntimeVersion", ""),
        "node.name": node["metadata"]["name"],
        "node.internal-address": next((one["address"] for one in addresses if one.get("type") == "InternalIP"), ""),
    }


def from_log(log: str, token: str) -> str:
    """Return what the API gives of the log of ``pods.PLAIN``, as JSON: its longest line, and whether both streams are there.

    A runtime copies each stream by itself and cuts lines at 16 KiB; the API joins the parts in the order of the file, so that on
    a busy node the line on stderr may come back inside the long one.
    """
    on_stderr = f"{token} on stderr"
    lines = log.replace(on_stderr + "\n", "").splitlines()
    found = {
        "longest": max(map(len, lines), default=0),
        "stdout": f"{token} on stdout" in log,
        "stderr": on_stderr in log,
    }
    return json.dumps(found)


def from_metrics(text: str, pod: str) -> str:
    """Return the names of the series of a pod's containers in cAdvisor's text, and what their labels say."""
    names = set()
    images = set()
    for line in text.splitlines():
        if line.startswith("#") or f'pod="{pod}"' not in line or 'container="plain"' not in line:
            continue
        names.add(line.partition("{")[0])
        images.add(line.partition('image="')[2].partition('"')[0])
    return "\n".join([*sorted(names), *(f"image {image}" for image in sorted(images) if image)])


def table(text: str) -> dict[str, str]:
    """Return lines of "key value" as a dict."""
    return {key: value.strip() for key, _, value in (line.strip().partition(" ") for line in text.splitlines()) if key}


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
