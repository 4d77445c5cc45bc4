"""record.py MACHINE...: what the containerd of each lab machine (a container) makes of the files beside this one.

Writes dumps/VERSION-CASE.json: the CRI part of `containerd config dump`, or its error, for every case of CASES.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
CASES = {
    "2": ("root-2.toml", ()),
    "2-nvidia-2": ("root-2.toml", ("nvidia-2.toml",)),
    "2-nvidia-3": ("root-2.toml", ("nvidia-3.toml",)),
    "3-nvidia-2": ("root-3.toml", ("nvidia-2.toml",)),
    "3-nvidia-3": ("root-3.toml", ("nvidia-3.toml",)),
    "cri-by-its-short-name": ("short-name.toml", ()),
    "hand-written": ("hand-written.after.toml", ("gc-2.toml",)),
    "missing-import": ("missing-import.toml", ()),
}
CONFIG = "/root/unshim-dump/config.toml"
DROP_INS = "/root/unshim-dump/conf.d"


def on(machine, *command, text=None):
    argv = ["docker", "exec", "-i", machine, *command]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=False)


def write(machine, path, name):
    text = (HERE / name).read_text().replace("/etc/containerd/conf.d", DROP_INS)
    on(machine, "sh", "-c", f"mkdir -p {DROP_INS} && cat >{path}", text=text)


def main():
    for machine in sys.argv[1:]:
        version = on(machine, "containerd", "--version").stdout.split()[2].lstrip("v")
        for case, (root, imports) in CASES.items():
            if "3" in root + "".join(imports) and not version.startswith("2."):
                continue
            on(machine, "rm", "-rf", DROP_INS)
            write(machine, CONFIG, root)
            for name in imports:
                write(machine, f"{DROP_INS}/{name}", name)
            said = on(machine, "containerd", "--config", CONFIG, "config", "dump")
            dumped = tomllib.loads(said.stdout) if said.returncode == 0 else {}
            record = {
                "containerd": version,
                "root": root,
                "imports": list(imports),
                "error": said.stderr.strip().splitlines()[-1].replace(CONFIG, "config.toml") if said.returncode else "",
                "plugins": {
                    name: table for name, table in dumped.get("plugins", {}).items() if "cri" in name.split(".")
                },
            }
            path = HERE / "dumps" / f"{version.split('~')[0].split('+')[0]}-{case}.json"
            path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        on(machine, "rm", "-rf", "/root/unshim-dump")


main()
