"""What a scrape says, without what changes from run to run or tells of the machine."""

import re

SERIES = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$")
# Of the many that Go's libraries add, and of gRPC's for every method and code, what the rules and the dashboard ask for.
KEPT = re.compile(r"containerd_|process_start_time_seconds|grpc_server_handled_total")
CRI_CALL = re.compile(r'grpc_method="(PullImage|RunPodSandbox|StartContainer)"')


def types(text):
    """Return {metric: type} of an exposition."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def recorded(text):
    """Return an exposition with the metrics that matter: their types, series and labels. A build's suffix is left out, and a
    value is told only as zero or not, for no two runs have the same."""
    lines = []
    for line in text.splitlines():
        words = line.split(" ", 3)
        if line.startswith("# TYPE") and KEPT.match(words[2]):
            lines.append(line)
        match = SERIES.match(line)
        if not match or not KEPT.match(match[1]) or match[1].endswith("_bucket") and 'le="+Inf"' not in line:
            continue
        if match[1] == "grpc_server_handled_total" and not (
            CRI_CALL.search(line) and re.search('"(OK|Unknown)"', line)
        ):
            continue
        labels = re.sub(r'"(\d+\.\d+\.\d+)[~+][^"]*"', r'"\1"', match[2] or "")
        labels = re.sub(r'revision="[^"]*"', 'revision=""', labels)
        lines.append(f"{match[1]}{labels} {'0' if float(match[3]) == 0 else '1'}")
    return "\n".join(lines) + "\n"
