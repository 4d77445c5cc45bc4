"""The kubelet's own files in YAML: KubeletConfiguration and kubeadm's instance-config.yaml.

Read with a YAML parser; changed by replacing one top-level value in the text, so that comments and order stay.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

INSTANCE_CONFIG = "/var/lib/kubelet/instance-config.yaml"  # KEP-4656, kubeadm >= 1.32
ENDPOINT = "containerRuntimeEndpoint"  # KubeletConfiguration v1beta1, kubelet >= 1.27


class YamlError(Exception):
    """A kubelet YAML file cannot be read or changed; the message says where."""


def parse(text: str) -> dict[str, Any]:
    """Return a KubeletConfiguration as data; raises YamlError where it is not a YAML mapping."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{getattr(error, 'problem', None) or error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise YamlError("it is not a mapping")
    return data


def set_endpoint(text: str, endpoint: str) -> str:
    """Return ``text`` with containerRuntimeEndpoint set to ``endpoint`` where it is set at all; raises YamlError if that fails."""
    before = parse(text)
    if ENDPOINT not in before or before[ENDPOINT] == endpoint:
        return text
    pattern = re.compile(
        rf"(?m)^((?:{ENDPOINT}|\"{ENDPOINT}\"|'{ENDPOINT}')[ \t]*:)[ \t]*(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s#]*)"
    )
    after = pattern.sub(lambda match: f"{match[1]} {endpoint}", text)
    if parse(after) != {**before, ENDPOINT: endpoint}:
        raise YamlError(f"{ENDPOINT} is written in a way that unshim cannot change")
    return after
