"""Let a real systemd start every form in forms.yml, and write what it started: forms-SUITE.json.

    python tests/data/systemd/record.py SUITE CONTAINER

CONTAINER is a throwaway machine of the lab (a "fresh" one) that no kubelet runs on: its kubelet.service and
/usr/bin/kubelet are replaced, and removed at the end. Needs docker, cc and PyYAML here, python3 there.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).parent
# A kubelet that says with what it was started. A program and not a script, so that argv[0] is told, too.
SHOW = r"""
#include <stdio.h>
int main(int argc, char **argv) {
  FILE *out = fopen("/run/kubelet.argv.new", "w");
  for (int i = 0; i < argc; i++) { fputs(argv[i], out); fputc(0, out); }
  fclose(out);
  return rename("/run/kubelet.argv.new", "/run/kubelet.argv");
}
"""
# Runs on the node: one form, as JSON on standard input.
START = r"""
import base64, json, os, shutil, subprocess, sys, time

def systemctl(*words):
    return subprocess.run(["systemctl", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

def put(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(base64.b64decode(content))

def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)

UNIT = "/etc/systemd/system/kubelet.service"
form = json.load(sys.stdin)
made = [UNIT, UNIT + ".d", "/etc/default/kubelet", "/etc/sysconfig/kubelet", "/etc/kubelet.d", "/srv/kubelet.env",
        "/var/lib/kubelet/kubeadm-flags.env", "/run/kubelet.argv"]
for path in made:
    remove(path)
for path, content in form["files"].items():
    put(path, content)
for path, target in form["links"].items():
    os.symlink(target, path)
systemctl("daemon-reload")
shown = dict(line.split("=", 1) for line in systemctl(
    "show", "kubelet.service", "-p", "LoadState,FragmentPath,DropInPaths").splitlines())
files = [line.split("=", 1)[1].rsplit(" (", 1)[0] for line in systemctl(
    "show", "kubelet.service", "-p", "EnvironmentFiles").splitlines()]
systemctl("start", "kubelet.service")
for _ in range(200):
    if systemctl("show", "-P", "ActiveState", "kubelet.service").strip() in ("inactive", "failed"):
        break
    time.sleep(0.01)
argv = None
if os.path.exists("/run/kubelet.argv"):
    with open("/run/kubelet.argv", "rb") as stream:
        argv = stream.read().decode("utf-8").split("\0")[:-1]
systemctl("reset-failed", "kubelet.service")
for path in made:
    remove(path)
print(json.dumps({"load_state": shown["LoadState"], "fragment_path": shown["FragmentPath"],
                  "drop_in_paths": shown["DropInPaths"].split(), "environment_files": files, "argv": argv}))
"""


def on_node(container, *words, stdin=""):
    command = ["docker", "exec", "-i", container, *words]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed on {container}")
    return done.stdout


def encoded(content):
    if content.startswith("<base64>"):
        return content.removeprefix("<base64>")
    return base64.b64encode(content.encode()).decode()


def main():
    suite, container = sys.argv[1:]
    if "kubelet" in on_node(container, "sh", "-c", "ls /usr/bin /usr/lib/systemd/system /lib/systemd/system; true"):
        sys.exit(f"{container} has a kubelet: use a machine without one")
    with tempfile.TemporaryDirectory() as directory:
        source, program = Path(directory, "show.c"), Path(directory, "show")
        source.write_text(SHOW)
        subprocess.run(["cc", "-static", "-O1", "-o", program, source], check=True)
        subprocess.run(
            ["docker", "cp", program, f"{container}:/usr/bin/kubelet"], check=True, stdout=subprocess.DEVNULL
        )
    version = on_node(container, "systemctl", "--version").splitlines()[0]
    hostname, kernel = on_node(container, "uname", "-n").strip(), on_node(container, "uname", "-r").strip()
    found = []
    for form in yaml.safe_load((HERE / "forms.yml").read_text()):
        unit = "/etc/systemd/system/kubelet.service"
        files = {unit: form["unit"], **form.get("files", {})}
        files.update({f"{unit}.d/{name}": text for name, text in form.get("drop_ins", {}).items()})
        sent = {"files": {path: encoded(text) for path, text in files.items()}, "links": form.get("links", {})}
        answer = json.loads(on_node(container, "python3", "-c", START, stdin=json.dumps(sent)))
        # What names this machine is not of interest.
        text = json.dumps(answer).replace(hostname, "node-1.example").replace(kernel, "6.1.0-lab")
        found.append({"name": form["name"], **sent, **json.loads(text)})
        print(f"{form['name']}: {found[-1]['argv']}", file=sys.stderr)
    on_node(container, "rm", "/usr/bin/kubelet")
    text = json.dumps({"systemd": version, "forms": found}, indent=1, ensure_ascii=False)
    (HERE / f"forms-{suite}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
