"""``unshim-scan``: the workload scan for a shell and for CI, over manifests on disk or a cluster."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path

from unshim import __version__
from unshim.workloads import allow_list, manifest_types, outputs
from unshim.workloads.model import Document, Problem, Report, ScanSettings, printable
from unshim.workloads.scan import reported

from . import manifest_files

FOUND, UNUSABLE = 1, 2
_EPILOG = """exit codes: 0 nothing found at or above --fail-on; 1 something was; 2 an argument or a file could not be used
(what could be read was scanned all the same)."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="unshim-scan",
        description="Find workloads that need Docker, before their nodes run on containerd.",
        epilog=_EPILOG,
    )
    where = made.add_mutually_exclusive_group(required=True)
    where.add_argument("--manifests", nargs="+", metavar="PATH", help="files and directories; - is standard input")
    where.add_argument("--cluster", action="store_true", help="a cluster, by kubeconfig")
    made.add_argument("--kubeconfig", default="", help="default: KUBECONFIG, else ~/.kube/config")
    made.add_argument("--context", default="", help="default: the current one")
    made.add_argument(
        "--namespace", action="append", default=[], help="only this one, and what belongs to none; repeat for more"
    )
    made.add_argument("--format", choices=outputs.FORMATS, default="text", dest="form")
    made.add_argument("--output", metavar="FILE", default="", help="default: standard output")
    made.add_argument("--allow-list", metavar="FILE", default="", help="findings that may stay, see docs/scan.md")
    made.add_argument(
        "--manifest-types", metavar="FILE", default="", help="what registries say of images, see docs/scan.md"
    )
    made.add_argument(
        "--docker-root", action="append", default=[], metavar="DIR", help="Docker's data directory on the nodes"
    )
    made.add_argument("--fail-on", choices=tuple(outputs.FAIL_ON), default="block")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        report = _report(options)
        text = outputs.render(report, options.form, __version__, outputs.FAIL_ON[options.fail_on])
        if options.output:
            Path(options.output).write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    except (allow_list.AllowListError, manifest_types.ManifestTypesError, UnusableError) as error:
        return _refuse(str(error))
    for problem in report.problems:
        place = f"{problem.file}:{problem.line}: " if problem.file else ""
        print(f"unshim-scan: {place}{problem.message}", file=sys.stderr)
    if report.problems:
        return UNUSABLE
    return FOUND if any(report.count(severity) for severity in outputs.FAIL_ON[options.fail_on]) else 0


class UnusableError(Exception):
    """The scan cannot begin; the message says why."""


def _report(options: argparse.Namespace) -> Report:
    entries = allow_list.parse(_text(options.allow_list), options.allow_list) if options.allow_list else []
    types = (
        manifest_types.parse(_text(options.manifest_types), options.manifest_types) if options.manifest_types else {}
    )
    documents, problems, source = _cluster(options) if options.cluster else _manifests(options)
    roots = tuple(dict.fromkeys(("/var/lib/docker", *options.docker_root)))
    settings = ScanSettings(docker_roots=roots, manifest_types=types)
    return reported(source, documents, settings, entries, problems, datetime.date.today())


def _manifests(options: argparse.Namespace) -> tuple[list[Document], list[Problem], str]:
    for name in options.manifests:
        if name != manifest_files.STDIN and not os.path.exists(name):
            raise UnusableError(f"{name}: there is no such file or directory")
    documents, problems = manifest_files.read_all(options.manifests)
    if options.namespace:
        documents = [one for one in documents if one.namespace in ("", *options.namespace)]
    return documents, problems, printable(f"manifests in {', '.join(options.manifests)}")


def _cluster(options: argparse.Namespace) -> tuple[list[Document], list[Problem], str]:
    try:
        from unshim_kube import client, workload_objects
        from unshim_kube.errors import KubeError
    except ImportError as error:
        raise UnusableError(f"Python's {error.name} is missing; install it with: pip install kubernetes") from None
    try:
        api = client.connect(options.kubeconfig, options.context)
        documents, problems = workload_objects.read(api, options.namespace)
    except KubeError as error:
        raise UnusableError(error.message) from None
    return documents, problems, f"the cluster at {api.server}"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UnusableError(f"{path}: it is not UTF-8") from None


def _refuse(message: str) -> int:
    print(f"unshim-scan: {message}", file=sys.stderr)
    return UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
