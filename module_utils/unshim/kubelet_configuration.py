"""The kubelet's own files in YAML or JSON: KubeletConfiguration, its drop-ins, and kubeadm's instance-config.yaml.

Read with a YAML parser, which also tells where each value stands; changed by replacing just those characters, or adding a
line, so that comments, order and every other byte stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from . import yaml_text

INSTANCE_CONFIG = "/var/lib/kubelet/instance-config.yaml"  # KEP-4656, kubeadm >= 1.32
ENDPOINT = "containerRuntimeEndpoint"  # KubeletConfiguration v1beta1, kubelet >= 1.27
LOG_MAX_SIZE = "containerLogMaxSize"  # KubeletConfiguration v1beta1, kubelet >= 1.10
LOG_MAX_FILES = "containerLogMaxFiles"


class YamlError(Exception):
    """A kubelet YAML file cannot be read or changed; the message says where."""


def parse(text: str) -> dict[str, Any]:
    """Return a KubeletConfiguration as data; raises YamlError where it is not a YAML mapping."""
    try:
        data = yaml_text.load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise YamlError(_problem(error)) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise YamlError("it is not a mapping")
    return data


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{getattr(error, 'problem', None) or error}"


def merged(configurations: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the kubelet makes of its configuration and its drop-ins, in their order.

    A mapping is merged, anything else, lists too, is replaced (kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file,
    "Kubelet configuration merging order").
    """
    result: dict[str, Any] = {}
    for configuration in configurations:
        for key, value in configuration.items():
            old = result.get(key)
            both = isinstance(old, dict) and isinstance(value, dict)
            result[key] = merged((old, value)) if both else value  # type: ignore[arg-type]
    return result


def set_endpoint(text: str, endpoint: str) -> str:
    """Return ``text`` with containerRuntimeEndpoint set to ``endpoint`` where it is set at all; raises YamlError if that fails."""
    return set_values(text, {ENDPOINT: endpoint}) if ENDPOINT in parse(text) else text


def set_values(text: str, wanted: Mapping[str, str | int]) -> str:
    """Return ``text`` with these top-level settings: the values of those that are there replaced, the others added.

    Raises YamlError where the text is written in a way that does not allow just that.
    """
    before = parse(text)
    changes = {key: value for key, value in wanted.items() if before.get(key) != value or key not in before}
    if not changes:
        return text
    try:
        node = yaml_text.compose(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(_problem(error)) from None
    is_json = bool(getattr(node, "flow_style", False))
    edits: list[tuple[int, int, str]] = []
    there: set[str] = set()
    if not isinstance(node, yaml.MappingNode):
        node = None  # "null", or nothing but comments
    for key, value in node.value if node is not None else ():
        if key.value in changes:
            there.add(key.value)
            edits.append(_replacement(text, key, value, changes[key.value], is_json))
    absent = {key: value for key, value in changes.items() if key not in there}
    if absent:
        edits.append(_addition(text, node, absent, is_json))
    after = text
    for start, end, new in sorted(edits, reverse=True):
        after = after[:start] + new + after[end:]
    try:
        as_wanted = parse(after) == {**before, **changes}
    except YamlError:
        as_wanted = False
    if not as_wanted:
        raise YamlError(f"{' and '.join(changes)} cannot be set without changing how the file is written")
    return after


def _replacement(text: str, key: yaml.Node, value: yaml.Node, new: str | int, is_json: bool) -> tuple[int, int, str]:
    start, end = value.start_mark.index, value.end_mark.index
    if start < key.end_mark.index:
        raise YamlError(f"line {key.start_mark.line + 1}: its value is an alias, which unshim does not change")
    if not isinstance(value, yaml.ScalarNode):
        raise YamlError(f"line {key.start_mark.line + 1}: its value is a list or a mapping, which it cannot be")
    written = _written(new, is_json)
    if text[start:end].endswith("\n"):  # a block scalar
        written += _newline(text)
    if start == end or value.start_mark.line != key.end_mark.line:  # nothing behind "key:", or not on its line
        start = text.index(":", key.end_mark.index) + 1
        written = " " + written
    return start, end, written


def _addition(
    text: str, node: yaml.Node | None, absent: Mapping[str, str | int], is_json: bool
) -> tuple[int, int, str]:
    if is_json and node is not None:
        inside = node.start_mark.index + 1
        gap = re.match(r"\s*", text[inside:])[0] if node.value else ""  # type: ignore[index]
        pairs = ",".join(f"{gap}{json.dumps(key)}: {_written(value, True)}" for key, value in absent.items())
        return inside, inside, pairs + ("," if node.value else "")
    indent = " " * (node.value[0][0].start_mark.column if node is not None and node.value else 0)
    newline = _newline(text)
    lines = "".join(f"{indent}{key}: {_written(value, False)}{newline}" for key, value in absent.items())
    ended = not text or text.endswith(("\n", "\ufeff"))
    return len(text), len(text), ("" if ended else newline) + lines


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _written(value: str | int, is_json: bool) -> str:
    if is_json or isinstance(value, int) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:/._-]*", value):
        return json.dumps(value)
    return value if yaml.safe_load(value) == value else json.dumps(value)
