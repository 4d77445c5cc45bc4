"""Rules for log pipelines that expect the lines Docker's json-file driver writes.

Docker writes ``{"log":"...","stream":"stdout","time":"..."}``; the CRI has ``2019-...Z stdout F ...``
(kubernetes design-proposals, node/kubelet-cri-logging).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .model import Hit, Json, Rule, ScanSettings
from .texts import as_yaml, config_texts, lines, walk

RULES = (
    Rule(
        "json-file-log-parser",
        "warn",
        "parses container logs as Docker's json-file driver writes them",
        "The CRI's lines are no JSON: they are dropped, or arrive with the time stamp and the stream in the text.",
        "Parse both formats during the move: Fluent Bit multiline.parser docker, cri; fluentd fluent-plugin-parser-cri inside a "
        "multi-format parser; Promtail cri: {}; Filebeat type: container.",
        "docs.fluentbit.io/manual/pipeline/inputs/tail; github.com/fluent/fluent-plugin-parser-cri; "
        "elastic.co/docs/reference/beats/filebeat/filebeat-input-container; grafana.com/docs/loki (pipeline stages)",
    ),
)
_CONTAINER_LOGS = re.compile(r"/var/log/(?:containers|pods)|/var/lib/docker/containers")


def check_object(data: Json, _settings: ScanSettings) -> Iterator[Hit]:
    for path, key, content in config_texts(data):
        value = _fluent_bit(content) or _fluentd(content) or _from_yaml(key, content)
        if value:
            yield Hit("json-file-log-parser", path, value)


def _fluent_bit(content: str) -> str:
    """Return what a classic configuration says if an input of container logs has Docker's parser alone."""
    for section in re.split(r"(?m)^\s*(?=\[[A-Z_]+\]\s*$)", content):
        if not section.lstrip().startswith("[INPUT]"):
            continue
        settings = {}
        for line in lines(section):
            name, _, value = line.partition(" ")
            settings[name.lower()] = value.strip()
        if not _CONTAINER_LOGS.search(settings.get("path", "")):
            continue
        found = _fluent_bit_parser(settings)
        if found:
            return found
    return ""


def _fluent_bit_parser(settings: dict[str, Any]) -> str:
    parser = str(settings.get("parser") or "")
    several = str(settings.get("multiline.parser") or "")
    if parser == "docker":
        return "Parser docker"
    if "docker" in several and "cri" not in re.split(r"[\s,]+", several):
        return f"multiline.parser {several}"
    return "Docker_Mode On" if str(settings.get("docker_mode")).lower() == "on" else ""


def _fluentd(content: str) -> str:
    """Return what fluentd's configuration says if a source of container logs is parsed as JSON and as nothing else."""
    for source in re.findall(r"(?s)<source>.*?</source>", content):
        text = "\n".join(lines(source))
        if not _CONTAINER_LOGS.search(text) or re.search(r"@type\s+(?:cri|regexp|multi_format|none)\b", text):
            continue
        match = re.search(r"(?s)<parse>\s*@type\s+[\"']?(json)\b", text) or re.search(r"(?m)^format\s+(json)\b", text)
        if match:
            return " ".join(match.group(0).split())
    return ""


def _from_yaml(key: str, content: str) -> str:
    """Return what a configuration in YAML says: Promtail, Filebeat, Fluent Bit's newer form."""
    if not key.endswith((".yaml", ".yml", ".conf")) or not re.search(r"docker|message_key", content):
        return ""
    for document in as_yaml(content):
        for _, value in walk(document):
            if not isinstance(value, dict):
                continue
            stages = value.get("pipeline_stages")
            names = (
                [name for stage in stages if isinstance(stage, dict) for name in stage]
                if isinstance(stages, list)
                else []
            )
            if "docker" in names and "cri" not in names:
                return "pipeline_stages: docker"
            if value.get("type") == "docker" and "containers" in value:
                return "type: docker"
            if value.get("name") == "tail" and _CONTAINER_LOGS.search(str(value.get("path"))):
                found = _fluent_bit_parser(value)
                if found:
                    return found
            paths = value.get("paths")
            if (
                value.get("type") == "log"
                and isinstance(paths, list)
                and any(_CONTAINER_LOGS.search(str(one)) for one in paths)
                and "log" in (value.get("json.message_key"), (value.get("json") or {}).get("message_key"))
            ):
                return "json.message_key: log"
    return ""
