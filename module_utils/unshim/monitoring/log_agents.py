"""What log agents are to be told when a node's log files change from Docker's format to CRI's.

Docker's: {"log": "it runs\\n", "stream": "stdout", "time": "..."}; CRI's: "TIME stdout F it runs", where P is a line that goes
on in the next. Sources: kubernetes pkg/kubelet/kuberuntime/logs (both formats), containerd docs/cri/config.md
(max_container_log_line_size); fluent-bit docs, multiline parsers; fluent-plugin-multi-format-parser and
fluent-plugin-concat READMEs; Vector's source kubernetes_logs; Alloy's loki.process, stages cri and docker.
"""

from __future__ import annotations

from . import templating

AGENTS = ("fluent-bit", "fluentd", "vector", "alloy")


def render() -> dict[str, str]:
    """Return the snippets by file name: for each agent before and after."""
    directory = templating.TEMPLATES / "logs"
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.iterdir())}
