"""The action behind the module ``migration_report``: gather what the run knows of its hosts, make the report, write it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import records, report, report_findings, report_html, report_markdown, report_text
from unshim.report_model import HostInput
from unshim.workloads.model import WorkloadFinding


class ActionModule(ActionBase):
    """See library/migration_report.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        hostvars = (task_vars or {}).get("hostvars") or {}
        _, args = self.validate_argument_spec(
            {
                "directory": {"type": "path", "required": True},
                "hosts": {"type": "list", "elements": "str", "required": True},
                "only_seen": {"type": "bool", "default": False},
                "control_plane": {"type": "list", "elements": "str", "default": []},
                "findings": {"type": "path", "default": ""},
                "title": {"type": "str", "default": ""},
            }
        )
        result.update(changed=True, html="", markdown="", json="", counts={})
        try:
            result.update(self._write(args, hostvars))
        except report_findings.FindingsError as error:
            result.update(failed=True, changed=False, msg=str(error))
        except OSError as error:
            result.update(
                failed=True,
                changed=False,
                msg=f"The report cannot be written to {args['directory']}: {error.strerror or error}. "
                "Name another directory in unshim_report_dir.",
            )
        except Exception as error:  # noqa: BLE001 - a report that cannot be made must not end the run of a migration
            reason = (str(error).splitlines() or [""])[0]
            result.update(
                failed=True, changed=False, msg=f"The report cannot be made: {type(error).__name__}: {reason}"
            )
        return result

    def _write(self, args: dict[str, Any], hostvars: Any) -> dict[str, Any]:
        workloads = findings(Path(args["findings"])) if args["findings"] else ()
        hosts = [
            gather(host, hostvars[host], host in args["control_plane"])
            for host in dict.fromkeys(args["hosts"])
            if host in hostvars
        ]
        if args["only_seen"]:
            hosts = [host for host in hosts if host.plan or host.failed]
        now = time.time()
        made = report.make(hosts, workloads, now, args["title"])
        if self._task.check_mode:
            return {"counts": made.counts}
        texts = {
            "html": report_html.render(made),
            "markdown": report_markdown.render(made),
            "json": json.dumps(records.to_data(made), indent=1, ensure_ascii=False) + "\n",
        }
        return {"counts": made.counts, **write(Path(args["directory"]).expanduser(), report_text.stamp(now), texts)}


def findings(path: Path) -> tuple[WorkloadFinding, ...]:
    """Return what a file of the scan says.

    Raises:
        FindingsError: it cannot be read, or is none.
    """
    try:
        return report_findings.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"It cannot be read: {error.strerror}."
    except UnicodeDecodeError as error:
        reason = f"It is not UTF-8: {error}."
    except report_findings.FindingsError as error:
        reason = str(error)
    raise report_findings.FindingsError(
        f"{path} (unshim_workload_findings): {reason} scan.yml writes such a file, findings.json, to unshim_scan_report_dir."
    )


def gather(host: str, variables: Any, control_plane: bool) -> HostInput:
    """Return what the variables of one host say; of a fact that is missing nothing is known."""
    facts = variables.get("ansible_facts") or {}
    journals = variables.get("report_journals") or {}
    return HostInput(
        host=host,
        control_plane=control_plane,
        facts=plain(facts.get("runtime")),
        plan=plain(facts.get("runtime_plan")),
        announced=plain(facts.get("runtime_plan_announced")),
        journals=str(journals.get("stdout") or ""),
        failed=str(variables.get("move_failed") or ""),
        failed_task=str(variables.get("move_failed_task") or ""),
        failed_cause=str(variables.get("move_failed_cause") or ""),
        bundle=str(variables.get("move_bundle") or ""),
    )


def plain(value: Any) -> dict[str, Any]:
    """Return a fact without the tags that Ansible puts on its strings."""
    return json.loads(json.dumps(value)) if isinstance(value, dict) else {}


def write(directory: Path, stamp: str, texts: dict[str, str]) -> dict[str, str]:
    """Write new files that only this user may read, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    suffixes = {"html": ".html", "markdown": ".md", "json": ".json"}
    for number in range(1, 100):
        name = stamp if number == 1 else f"{stamp}-{number}"
        paths = {kind: directory.resolve() / (name + suffixes[kind]) for kind in texts}
        if any(path.exists() for path in paths.values()):
            continue
        for kind, path in paths.items():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            # Half of a character, as JSON may hold it, has no UTF-8.
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(texts[kind])
        return {kind: str(path) for kind, path in paths.items()}
    raise OSError(f"{directory / stamp} and 98 more are there already")
