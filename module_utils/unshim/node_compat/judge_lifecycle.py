"""Judgements on how containers run, say something and end."""

from __future__ import annotations

import json
import re

from . import pods
from .model import NotShown, Observed, Verdict, broken, differs, ok

CRI_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) (stdout|stderr) [FP] ")
DOCKER_LINE = re.compile(r'\{"log":"')


def log(now: Observed, before: Observed | None) -> Verdict:
    said = json.loads(now.text("pod.log"))
    wrong = []
    if said["longest"] != pods.LONG_LINE:
        wrong.append(f"a line of {pods.LONG_LINE} characters comes back with {said['longest']}")
    wrong += [f"nothing of {stream} comes back" for stream in ("stdout", "stderr") if not said[stream]]
    if wrong:
        return broken("; ".join(wrong))
    if "pod.log-lines" not in now.values:
        return ok("the API gives every line, the long one whole; the file was not seen")
    path, form = now.get("pod.log-file").strip(), log_form(now.text("pod.log-lines"))
    if not now.get("pod.log-link").strip():
        wrong.append("no link in /var/log/containers leads to it")
    if now.runtime == "containerd" and form != "CRI":
        wrong.append(f"{path} is not in the CRI's format")
    if wrong:
        return broken("; ".join(wrong))
    was = log_form(before.get("pod.log-lines")) if before else form
    if was and was != form:
        return differs(f"{was} -> {form}, in {path}: a log agent must read the CRI's format, from /var/log/pods")
    return ok(f"the API gives every line, the long one whole; {form} in {path}")


def log_form(lines: str) -> str:
    """Return "CRI", "Docker's JSON" or "" of how a log's lines begin."""
    known = [line for line in lines.splitlines() if line.strip()]
    if known and all(CRI_LINE.match(line) for line in known):
        return "CRI"
    return "Docker's JSON" if known and all(DOCKER_LINE.match(line) for line in known) else ""


def probe_timeout(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("pod.slow")
    enforced = not seen.startswith("ready")
    was = before.get("pod.slow") if before else ""
    if enforced:
        return differs(f"not enforced before; {seen}") if was.startswith("ready") else ok(seen)
    return (
        ok(f"{seen}, as before") if was.startswith("ready") else broken(f"{seen}: timeoutSeconds of 1 is not enforced")
    )


def exec_streams(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("pod.exec")
    wanted = f"exit code {pods.EXIT_CODE}, stdout 'out', stderr 'err'"
    return ok(seen) if seen == wanted else broken(f"{seen}; it should be {wanted}")


def last_words(now: Observed, before: Observed | None) -> Verdict:
    seen, wanted = now.text("pod.ends"), f"{pods.EXIT_CODE} Error {pods.LAST_WORDS}"
    return ok(seen) if seen == wanted else broken(f"exit code, reason and message are {seen!r}, not {wanted!r}")


def stop_signal(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("pod.deleted")
    if not seen:
        return broken("the pod was not gone in time")
    seconds, _, ended = seen.partition(" ")
    told = f"gone after {float(seconds):.0f} s of a grace of {pods.GRACE} s"
    # A kubelet with much to do takes its time when every container has ended; how they ended is what the runtime did.
    codes = dict(word.split("=", 1) for word in ended.split())
    killed = sorted(name for name, code in codes.items() if code != "0")
    if killed:
        return broken(f"{told}; SIGTERM did not reach {', '.join(killed)}: exit code {codes[killed[0]]}")
    if set(codes) == set(pods.RUNNING):
        return ok(f"{told}; every container ended by SIGTERM")
    if float(seconds) < pods.GRACE - 5:
        return ok(told)
    raise NotShown(f"{told}; the kubelet did not tell how its containers ended")


def terminal(now: Observed, before: Observed | None) -> Verdict:
    words = now.text("pod.console").split()
    if not {"in", "out"} <= set(words):
        return broken(f"with tty and stdin it has none: {' '.join(words) or 'it said nothing'}")
    kind = next((word for word in words if word.startswith("TERM=")), "TERM=")
    was = (
        next((word for word in before.get("pod.console").split() if word.startswith("TERM=")), kind) if before else kind
    )
    return ok(kind) if kind == was else broken(f"{was} -> {kind}")


def metrics(now: Observed, before: Observed | None) -> Verdict:
    seen = set(now.text("pod.metrics").splitlines())
    missing = {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes"} - seen
    if missing:
        return broken(f"no {', '.join(sorted(missing))} of the probe pod's container")
    if before is None or "pod.metrics" not in before.values:
        return ok(f"{len(seen)} series with pod, container and image")
    lost = {name for name in set(before.text("pod.metrics").splitlines()) - seen if not name.startswith("image ")}
    if any(not name.startswith("container_fs_") for name in lost):
        return broken(f"no longer there: {', '.join(sorted(lost))}")
    if lost:
        return differs(f"no longer there: {', '.join(sorted(lost))}; /stats/summary has the file systems")
    return ok(f"{len(seen)} series, all that were there before")
