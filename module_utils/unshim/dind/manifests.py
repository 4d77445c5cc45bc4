"""The objects of Docker-in-Docker for a cluster, rendered from the templates beside this file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from . import address_pools, certificates, cluster_features, daemon_settings, model, registry_settings
from .certificates import Issued
from .model import Cluster, Settings

TEMPLATES = Path(__file__).parent / "manifests"
START = (Path(__file__).parent / "start.sh").read_text(encoding="utf-8")
PART_OF = "app.kubernetes.io/part-of"
LABELS = {PART_OF: "unshim-dind"}
#: A pod's memory limit is what stops a build that eats the node; a site gives its own numbers.
RESOURCES: dict[str, Any] = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
#: Runs the words after it, tells dockerd when they have ended, and passes signals on.
_WRAPPER = (
    '"$0" "$@" & job=$!; trap \'kill -TERM "$job" 2>/dev/null\' TERM INT; '
    'while :; do wait "$job"; code=$?; kill -0 "$job" 2>/dev/null || break; done; '
    f": >{model.SOCKET_DIRECTORY}/job-ended; exit $code"
)


def wrapper(command: Sequence[str]) -> list[str]:
    """Return a job's command so that dockerd beside it ends when it does."""
    return ["/bin/sh", "-c", _WRAPPER, *command]


def render(settings: Settings, cluster: Cluster, certificate_sha256: str = "") -> str:
    """Return every object of a mode but its Secrets, as YAML in the order in which they are to be applied.

    Args:
        certificate_sha256: of the server's certificate, in mode ``service``.

    Raises:
        DindError: settings or cluster do not allow it.
    """
    context = _context(settings, cluster) | {"certificate_sha256": certificate_sha256}
    texts = [_template(name, context) for name in ("namespace", "configuration", settings.mode)]
    if settings.mode == "sidecar":
        texts += [_template("configuration", context | {"namespace": one}) for one in settings.client_namespaces]
    return "---\n" + "---\n".join(texts)


def configuration(settings: Settings, cluster: Cluster, namespace: str) -> str:
    """Return what a namespace of workloads needs before pods with a dockerd run there, as YAML."""
    return "---\n" + _template("configuration", _context(settings, cluster) | {"namespace": namespace})


def secrets(settings: Settings, cluster: Cluster, issued: Issued | None = None) -> list[dict[str, Any]]:
    """Return the Secrets of a mode, those for the namespaces of its clients included.

    They are kept apart from all else: nothing that prints or keeps manifests should have them.

    Args:
        issued: the certificates, in mode ``service``.
    """
    registries = registry_settings.with_cluster(cluster.registries, cluster.networks)
    own, others = settings.namespace, settings.client_namespaces
    found = []
    if registries.proxies:
        users = (own, *others) if settings.mode == "sidecar" else (own,)
        found += [_secret("dind-proxy", namespace, registries.proxies) for namespace in users]
    if issued is not None:
        found += [_secret(name, own, texts) for name, texts in issued.secrets.items()]
        found += [_secret(certificates.CLIENT, other, issued.secrets[certificates.CLIENT]) for other in others]
    return found


def _secret(name: str, namespace: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()},
    }


def pod_parts(settings: Settings, cluster: Cluster, env: dict[str, str]) -> dict[str, Any]:
    """Return what a pod gets with a dockerd of its own: its container, volumes, node selector and tolerations."""
    source = (
        '{%- import "_pod.yml.j2" as pod with context -%}\n'
        "container:\n  {{ pod.container(env) | trim | indent(2) }}\nvolumes:\n  {{ pod.volumes() | trim | indent(2) }}\n{{ pod.node() }}\n"
    )
    text = _environment().from_string(source).render(_context(settings, cluster) | {"env": env})
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def objects(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


def _context(settings: Settings, cluster: Cluster) -> dict[str, Any]:
    settings = model.checked(settings)
    features = cluster_features.of(cluster)
    registries = registry_settings.with_cluster(cluster.registries, cluster.networks)
    daemon_json = daemon_settings.text(daemon_settings.of(settings, registries, address_pools.choose(cluster.networks)))
    facts = json.dumps([daemon_json, START, registries.ca, registries.proxies], sort_keys=True)
    return {
        "settings": settings,
        "namespace": settings.namespace,
        "features": features,
        "registries": registries,
        "resources": settings.resources or RESOURCES,
        "daemon_json": daemon_json,
        "start": START,
        "configuration_sha256": hashlib.sha256(facts.encode()).hexdigest()[:16],
        "labels": LABELS,
        "part_of": f"{PART_OF}: {LABELS[PART_OF]}",
        "label": model.NODE_LABEL,
        "client_label": model.CLIENT_LABEL,
        "namespace_label": model.NAMESPACE_LABEL,
        "socket": model.SOCKET,
        "socket_directory": model.SOCKET_DIRECTORY,
        "data_directory": model.DATA_DIRECTORY,
        "host_socket_directory": model.HOST_SOCKET_DIRECTORY,
        "host_data_directory": model.HOST_DATA_DIRECTORY,
        "tls_port": model.TLS_PORT,
        "grace_period": daemon_settings.GRACE_PERIOD,
        "wrapper": wrapper,
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # JSON is YAML, and whatever a setting holds stays one value.
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=isinstance(value, dict))
    return environment


def _template(name: str, context: dict[str, Any]) -> str:
    return _environment().get_template(f"{name}.yml.j2").render(context).strip("\n") + "\n"
