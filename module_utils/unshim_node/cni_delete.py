"""Take down the network of a Docker sandbox as dockershim would have, once the kubelet no longer runs.

Without this every pod stopped here leaks its address in the IPAM plugin's store and the chains of its host ports.

What is run follows the CNI specification, section "DEL", and what libcni does with its cache (containernetworking/cni
SPEC.md; libcni/api.go: DelNetworkList, buildOneConfig, cachedInfo). dockershim keeps that cache in
/var/lib/cni/cache (kubelet flag --cni-cache-dir), one file "results/NETWORK-CONTAINER-INTERFACE".
"""

import base64
import binascii
import json
import os
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from . import commands, docker_engine
from .errors import NodeError

CACHE_DIRECTORY = "/var/lib/cni/cache"
CONFIG_DIRECTORY = "/etc/cni/net.d"
CHECKPOINT_DIRECTORY = "/var/lib/dockershim/sandbox"  # kubernetes pkg/kubelet/dockershim/docker_checkpoint.go
CACHE_KIND = "cniCacheV1"
DEFAULT_INTERFACE = "eth0"  # kubernetes pkg/kubelet/dockershim/network.DefaultInterfaceName
PLUGIN_TIMEOUT = 60  # s; a plugin may have to reach its datastore

Attachment = NamedTuple(
    "Attachment",
    [
        ("config", Dict[str, Any]),  # a network configuration list, or the configuration of one plugin
        ("interface", str),
        ("arguments", List[List[str]]),  # [key, value] pairs of CNI_ARGS
        ("capabilities", Dict[str, Any]),  # e.g. {"portMappings": [...]}
        ("result", Optional[Dict[str, Any]]),  # what ADD returned, None if unknown
        ("cache_file", str),  # "" if it was not in the cache
    ],
)

Invocation = NamedTuple("Invocation", [("plugin", str), ("environment", Dict[str, str]), ("stdin", str)])


# Pure: what would be run


def parse_cached(text: str, path: str = "", fallback: Optional[Attachment] = None) -> Attachment:
    """Return the attachment in one file of libcni's cache.

    Args:
        fallback: for a file of libcni before 0.8, which holds nothing but the result of ADD.

    Raises:
        NodeError: the file is not what libcni writes.
    """
    try:
        data = json.loads(text)
        if "kind" not in data and "cniVersion" in data and fallback is not None:
            return fallback._replace(result=data, cache_file=path)
        if data.get("kind") != CACHE_KIND:
            raise ValueError("its kind is %r, not %r" % (data.get("kind"), CACHE_KIND))
        config = json.loads(base64.b64decode(data["config"]).decode("utf-8"))
        for plugin in config.get("plugins", [config]):
            if not isinstance(plugin.get("type", ""), str) or not isinstance(plugin.get("capabilities") or {}, dict):
                raise TypeError("a plugin in its config is none")
        if not isinstance(config.get("cniVersion") or "", str):
            raise TypeError("its config's cniVersion is no text")
        return Attachment(
            config=config,
            interface=data.get("ifName") or DEFAULT_INTERFACE,
            arguments=[[name, value] for name, value in data.get("cniArgs") or []],
            capabilities=dict(data.get("capabilityArgs") or {}),
            result=data.get("result"),
            cache_file=path,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise NodeError("The CNI cache file %s cannot be used: %s." % (path, error)) from error


def checkpointed_ports(text: str) -> List[Dict[str, Any]]:
    """Return the host ports in dockershim's checkpoint of a sandbox, with CNI's field names; [] if it has none."""
    try:
        return [
            {
                "hostPort": mapping["host_port"],
                "containerPort": mapping["container_port"],
                "protocol": mapping["protocol"].lower(),
                "hostIP": mapping.get("host_ip", ""),
            }
            for mapping in json.loads(text)["data"].get("port_mappings") or []
            if mapping.get("host_port")
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def is_loopback(attachment: Attachment) -> bool:
    """Return whether this is dockershim's loopback network; its cache entry says "eth0" like the real one's."""
    plugins = attachment.config.get("plugins", [attachment.config])
    return all(plugin.get("type") == "loopback" for plugin in plugins)


def pod_arguments(labels: Dict[str, str], container_id: str) -> List[List[str]]:
    """Return the CNI_ARGS dockershim gives for a sandbox (pkg/kubelet/dockershim/network/cni: buildCNIRuntimeConf)."""
    return [
        ["IgnoreUnknown", "1"],
        ["K8S_POD_NAMESPACE", labels.get(docker_engine.POD_NAMESPACE, "")],
        ["K8S_POD_NAME", labels.get(docker_engine.POD_NAME, "")],
        ["K8S_POD_INFRA_CONTAINER_ID", container_id],
    ]


def invocations(
    attachment: Attachment, container_id: str, network_namespace: str, plugin_directories: Iterable[str]
) -> List[Invocation]:
    """Return the plugin calls that delete the attachment, in order: the list's plugins from last to first.

    Args:
        network_namespace: path of the sandbox's, "" if it is gone already.
        plugin_directories: where plugins are, first match wins; they become CNI_PATH.
    """
    config = attachment.config
    plugins = config.get("plugins", [config])
    version = config.get("cniVersion") or "0.1.0"
    environment = {
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": container_id,
        "CNI_NETNS": network_namespace,
        "CNI_IFNAME": attachment.interface,
        "CNI_ARGS": ";".join("%s=%s" % (key, value) for key, value in attachment.arguments),
        "CNI_PATH": os.pathsep.join(plugin_directories),
    }
    found = []
    for plugin in reversed(plugins):
        stdin = dict(plugin, name=config.get("name", ""), cniVersion=version)
        if attachment.result is not None and _at_least(version, (0, 4, 0)):
            stdin["prevResult"] = attachment.result
        wanted = plugin.get("capabilities") or {}
        given = attachment.capabilities
        runtime = {name: given[name] for name in wanted if wanted[name] and name in given}
        if runtime:
            stdin["runtimeConfig"] = runtime
        found.append(Invocation(plugin.get("type", ""), dict(environment), json.dumps(stdin, sort_keys=True)))
    return found


def failure(out: str, err: str) -> str:
    """Return what a plugin that failed says: its error object on standard output, else its last lines."""
    try:
        data = json.loads(out)
        return ": ".join(part for part in (str(data["msg"]), str(data.get("details") or "")) if part)
    except (ValueError, KeyError, TypeError, RecursionError):
        return commands.last_lines(err) or commands.last_lines(out) or "it printed nothing"


def _at_least(version, minimum):
    numbers = [int(part) for part in version.split("-")[0].split(".") if re.match(r"[0-9]{1,9}$", part)]
    return tuple(numbers) >= minimum


# Running it


def cached(
    container_id: str, cache_directory: str = CACHE_DIRECTORY, fallback: Optional[Attachment] = None
) -> List[Attachment]:
    """Return what libcni's cache has for the container; the loopback network comes last.

    Raises:
        NodeError: a file of it cannot be read.
    """
    directory = os.path.join(cache_directory, "results")
    if not os.path.isdir(directory):
        return []
    found = []
    for name in sorted(os.listdir(directory)):
        if "-%s-" % container_id in name:
            path = os.path.join(directory, name)
            with open(path, encoding="utf-8") as stream:
                found.append(parse_cached(stream.read(), path, fallback))
    return sorted(found, key=is_loopback)


def configured(config_directory: str = CONFIG_DIRECTORY) -> Optional[Dict[str, Any]]:
    """Return the network configuration the kubelet uses: the first usable file by name, None if there is none."""
    if not os.path.isdir(config_directory):
        return None
    for name in sorted(os.listdir(config_directory)):
        if not name.endswith((".conf", ".conflist", ".json")):
            continue
        try:
            with open(os.path.join(config_directory, name), encoding="utf-8") as stream:
                config = json.load(stream)
        except (OSError, ValueError):
            continue
        if isinstance(config, dict) and (config.get("plugins") or config.get("type")):
            return config
    return None


def attachments(
    sandbox: docker_engine.Container, cache_directory: str = CACHE_DIRECTORY, config_directory: str = CONFIG_DIRECTORY
) -> List[Attachment]:
    """Return the networks of a Docker sandbox that nobody has taken down yet."""
    if sandbox.network_mode == "host":
        return []
    config = configured(config_directory)
    rebuilt = None
    if config is not None:
        ports = checkpointed_ports(_read(os.path.join(CHECKPOINT_DIRECTORY, sandbox.id)))
        arguments = pod_arguments(sandbox.labels, sandbox.id)
        rebuilt = Attachment(config, DEFAULT_INTERFACE, arguments, {"portMappings": ports} if ports else {}, None, "")
    found = cached(sandbox.id, cache_directory, rebuilt)
    if found:
        # The kubelet's own DEL leaves the loopback entry behind: alone it means that the rest is done.
        return found if sandbox.running else [attachment for attachment in found if not is_loopback(attachment)]
    # dockershim makes sandboxes for CNI with network mode "none"; others have their network from Docker itself.
    if not sandbox.running or sandbox.network_mode != "none" or rebuilt is None:
        return []
    return [rebuilt]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, ValueError):
        return ""


def delete(
    sandbox: docker_engine.Container, cache_directory: str, config_directory: str, plugin_directories: List[str]
) -> List[str]:
    """Take down every network of the sandbox. Never fails; returns a warning for each thing that did.

    The cache file goes once all its plugins have succeeded, so a second call tries again only what is left.
    """
    who = docker_engine.described(sandbox)
    namespace = "/proc/%d/ns/net" % sandbox.pid if sandbox.running and sandbox.pid else ""
    try:
        networks = attachments(sandbox, cache_directory, config_directory)
    except (NodeError, OSError) as error:
        return ["The network of %s was not taken down: %s" % (who, error)]
    warnings = []
    for attachment in networks:
        failures = []
        for call in invocations(attachment, sandbox.id, namespace, plugin_directories):
            try:
                _call(call, plugin_directories)
            except (NodeError, OSError) as error:
                # The plugins of a list hold different things: an address, a chain, a route. Go on with the others.
                failures.append("%s: %s" % (call.plugin, error))
        if failures:
            warnings.append(
                "The network of %s, interface %s, was not wholly taken down; its address or host port may stay taken: "
                "%s" % (who, attachment.interface, "; ".join(failures))
            )
        elif attachment.cache_file:
            os.unlink(attachment.cache_file)
    return warnings


def _call(call, plugin_directories):
    program = _find(call.plugin, plugin_directories)
    result = commands.run([program], stdin=call.stdin, timeout=PLUGIN_TIMEOUT, check=False, env=call.environment)
    if result.rc != 0:
        raise NodeError(failure(result.out, result.err))


def _find(plugin, plugin_directories):
    # A plugin's type is a bare file name (CNI specification); anything else would leave the directories.
    if plugin and plugin == os.path.basename(plugin):
        for directory in plugin_directories:
            path = os.path.join(directory, plugin)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    raise NodeError("no plugin %r in %s" % (plugin, ", ".join(plugin_directories) or "any directory"))
