"""Rules for agents that are known to ask Docker: by image and version, and by how they are configured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import Version

from .images import is_older, is_repository, name_of
from .model import Hit, Json, Path, Rule, ScanSettings
from .pod_specs import PodSpec
from .texts import config_texts, lines

_PAGE = "kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/migrating-telemetry-and-security-agents"
RULES = (
    Rule(
        "agent-needs-docker",
        "warn",
        "runs an agent that only knows Docker",
        "This version finds no containers on a containerd node, so its metrics, logs or alerts stop without an error of its own.",
        "Upgrade it to the version that the source names; where no version will do, replace it.",
        _PAGE,
    ),
    Rule(
        "agent-version-unknown",
        "info",
        "runs an agent of which old versions only know Docker",
        "Its image has no tag that says a version, so the scan cannot tell.",
        "Ask the agent for its version and compare it with the source's.",
        _PAGE,
    ),
    Rule(
        "agent-docker-config",
        "warn",
        "configures an agent to ask Docker",
        "That part of the agent finds nothing on a containerd node: the series, labels or events it makes end.",
        "Configure the agent's part for Kubernetes, the CRI or containerd in its place; see the source.",
        _PAGE,
    ),
    Rule(
        "node-problem-detector-docker",
        "warn",
        "lets the node problem detector watch Docker",
        "Its checker runs docker ps, so it marks every node that moved as ContainerRuntimeUnhealthy and tries to repair Docker; "
        "what drains or replaces such nodes will do so.",
        "Take out docker-monitor and health-checker-docker; add health-checker-containerd, with repair off at first.",
        "github.com/kubernetes/node-problem-detector config/health-checker-docker.json, config/docker-monitor.json",
    ),
)


@dataclass(frozen=True)
class Agent:
    """An agent's images, and the first version that knows containerd; None: no version does."""

    repositories: tuple[str, ...]
    since: Version | None
    source: str


AGENTS = (
    Agent(("datadog/agent", "datadoghq/agent"), Version("7.27"), "docs.datadoghq.com/agent/guide/docker-deprecation"),
    Agent(("datadog/docker-dd-agent",), None, "docs.datadoghq.com/agent/guide/docker-deprecation (agent 5)"),
    Agent(("falcosecurity/falco",), Version("0.15.0"), "falcosecurity/falco CHANGELOG.md, v0.15.0 (#585)"),
    Agent(("sysdig/falco",), None, "falcosecurity/falco CHANGELOG.md: the image of the versions before 0.15"),
    Agent(("verizondigital/kubectl-flame",), None, f"{_PAGE}; github.com/yahoo/kubectl-flame/issues/51"),
)


@dataclass(frozen=True)
class DockerPart:
    """A part of an agent's configuration that asks Docker. ``where``: "word" (of a command line) or "config" (a line of a ConfigMap)."""

    pattern: re.Pattern[str]
    where: str
    agent: str
    source: str


PARTS = (
    DockerPart(re.compile(r"^--?docker_only(?:=true)?$"), "word", "cAdvisor", "google/cadvisor docs/runtime_options.md (docker_only)"),
    DockerPart(re.compile(r"^--probe\.docker(?:=true)?$"), "word", "Weave Scope", "weaveworks/scope site/installing.md (--probe.docker)"),
    DockerPart(re.compile(r"^-?\s*type:\s*[\"']?docker-container-stats\b"), "config", "SignalFx", f"{_PAGE} (SignalFx)"),
    DockerPart(re.compile(r"^-?\s*add_docker_metadata\b"), "config", "Beats", "elastic.co/docs/reference/beats/filebeat/add-docker-metadata"),
    DockerPart(re.compile(r"^-?\s*module:\s*[\"']?docker[\"']?$"), "config", "Metricbeat", "elastic.co/docs/reference/beats/metricbeat/metricbeat-module-docker"),
    DockerPart(re.compile(r"^\[\[inputs\.docker(?:_log)?\]\]"), "config", "Telegraf", "influxdata/telegraf plugins/inputs/docker/README.md"),
    DockerPart(re.compile(r"^-?\s*docker_sd_configs:"), "config", "Prometheus, Promtail", "prometheus.io/docs/prometheus/latest/configuration (docker_sd_config)"),
    DockerPart(re.compile(r"^type\s*[:=]\s*[\"']docker_logs[\"']|^type:\s*docker_logs\b"), "config", "Vector", "vector.dev/docs/reference/configuration/sources/docker_logs"),
    DockerPart(re.compile(r"^docker_stats:"), "config", "OpenTelemetry Collector", "opentelemetry-collector-contrib receiver/dockerstatsreceiver/README.md"),
)  # fmt: skip
_NPD_WORD = re.compile(r"(?:^|/|,|=)(?:health-checker-docker|docker-monitor(?:-filelog|-counter)?)\.json")
_NPD_CONFIG = re.compile(r'"--component=docker"|"source"\s*:\s*"docker(?:-monitor|-health)?"')


def check_pod(pod: PodSpec, _settings: ScanSettings) -> Iterator[Hit]:
    for container in pod.containers:
        path = (*container.path, "image")
        for agent in AGENTS:
            if any(is_repository(container.image, name) for name in agent.repositories):
                older = True if agent.since is None else is_older(container.image, agent.since)
                if older:
                    yield Hit("agent-needs-docker", path, container.image)
                elif older is None:
                    yield Hit("agent-version-unknown", path, container.image)
        is_npd = "node-problem-detector" in name_of(container.image)
        for word_path, word in container.words():
            if any(part.where == "word" and part.pattern.search(word) for part in PARTS):
                yield Hit("agent-docker-config", word_path, word)
            if (is_npd or "--config." in word) and _NPD_WORD.search(word):
                yield Hit("node-problem-detector-docker", word_path, word)


def check_object(data: Json, _settings: ScanSettings) -> Iterator[Hit]:
    for path, _key, content in config_texts(data):
        yield from _config(path, content)


def _config(path: Path, content: str) -> Iterator[Hit]:
    for line in lines(content):
        if any(part.where == "config" and part.pattern.search(line) for part in PARTS):
            yield Hit("agent-docker-config", path, line)
            break
    if _NPD_CONFIG.search(content) and '"plugin"' in content:
        yield Hit("node-problem-detector-docker", path, (_NPD_CONFIG.search(content) or [""])[0])
