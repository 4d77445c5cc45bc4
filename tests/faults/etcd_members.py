"""Two more members for the lab's etcd, so that it has a real quorum of three: etcd of the lab's own image in containers
beside the machines, with certificates of the cluster's CA. They join by `member add` and leave by `member remove`."""

import io
import json
import subprocess
import tarfile
import time

LABEL = "unshim.lab=1"
DIRECTORY = "/var/lib/etcd-lab"
# Run on the control plane: asks a member with the certificates of its own. Arguments: address, verb, path, JSON.
ASK = """
import http.client, ssl, sys
pki = "/etc/kubernetes/pki/etcd/"
context = ssl.create_default_context(cafile=pki + "ca.crt")
context.load_cert_chain(pki + "server.crt", pki + "server.key")
address, verb, path, body = sys.argv[1:]
connection = http.client.HTTPSConnection(address, 2379, context=context, timeout=20)
connection.request(verb, path, body)
answer = connection.getresponse()
text = answer.read().decode()
if answer.status != 200:
    sys.exit(text)
print(text)
"""
# A key and certificate for one member, good as server and as client, signed by the cluster's CA of etcd.
CERTIFICATE = """
set -e
cd "$(mktemp -d)"
pki=/etc/kubernetes/pki/etcd
openssl req -new -newkey rsa:2048 -nodes -keyout member.key -out member.csr -subj /CN={name} 2>/dev/null
printf 'extendedKeyUsage=serverAuth,clientAuth\\nsubjectAltName=IP:{address},IP:127.0.0.1,DNS:{name}\\n' >extensions
openssl x509 -req -in member.csr -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 2 \\
  -extfile extensions -out member.crt 2>/dev/null
cp "$pki/ca.crt" ca.crt
tar -cf - ca.crt member.crt member.key
rm -rf "$PWD"
"""


def docker(*arguments, **more):
    return subprocess.run(["docker", *arguments], capture_output=True, check=True, **more).stdout


class EtcdMembers:
    """``names`` are containers on the lab's network; their addresses count up from the control plane's by 140."""

    def __init__(self, lab, count=2):
        self.lab = lab
        cp = lab.control_plane
        self.names = [f"{cp}-etcd{number}" for number in range(1, count + 1)]
        front, _, last = lab.address(cp).rpartition(".")
        self.addresses = {name: f"{front}.{int(last) + 140 + number}" for number, name in enumerate(self.names)}

    def ask(self, address, verb, path, body=""):
        done = subprocess.run(
            ["docker", "exec", self.lab.control_plane, "python3", "-c", ASK, address, verb, path, body],
            text=True, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{address} {path}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def call(self, method, **body):
        return self.ask("127.0.0.1", "POST", f"/v3/{method}", json.dumps(body))

    def members(self):
        """Return {name: ID} of the cluster's members; one that never started has no name."""
        return {one.get("name", ""): one["ID"] for one in self.call("cluster/member/list")["members"]}

    def join(self):
        """Start them one after the other; returns when all are in and healthy."""
        image = docker("images", "-q", "unshim-lab/etcd", text=True).split()[0]
        for name in self.names:
            url = f"https://{self.addresses[name]}"
            # With the second member the quorum is two: from here until it has started, the cluster stands still.
            archive = subprocess.run(
                ["docker", "exec", "-i", self.lab.control_plane, "sh", "-s"],
                input=CERTIFICATE.format(name=name, address=self.addresses[name]).encode(), capture_output=True, check=True,
            ).stdout  # fmt: skip
            listed = self._add(f"{url}:2380")
            peers = [f"{one.get('name') or name}={peer}" for one in listed for peer in one["peerURLs"]]
            docker(
                "create", "--name", name, "--hostname", name, "--label", LABEL, "--network", "unshim-lab",
                "--ip", self.addresses[name], "--entrypoint", "etcd", image, f"--name={name}", f"--data-dir={DIRECTORY}/data",
                f"--initial-cluster={','.join(peers)}", "--initial-cluster-state=existing",
                f"--initial-advertise-peer-urls={url}:2380", f"--listen-peer-urls={url}:2380",
                f"--advertise-client-urls={url}:2379", f"--listen-client-urls={url}:2379,https://127.0.0.1:2379",
                "--client-cert-auth", "--peer-client-cert-auth",
                *(f"--{role}trusted-ca-file=/certificates/ca.crt" for role in ("", "peer-")),
                *(f"--{role}cert-file=/certificates/member.crt" for role in ("", "peer-")),
                *(f"--{role}key-file=/certificates/member.key" for role in ("", "peer-")),
            )  # fmt: skip
            docker("cp", "-", f"{name}:/", input=_below(archive, "certificates"))
            docker("start", name)
            self.wait_for(name)

    def _add(self, peer, seconds=60):
        """Return the members with a new one; etcd takes none until all have been connected for 5 s."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.call("cluster/member/add", peerURLs=[peer])["members"]
            except RuntimeError as error:
                if "unhealthy cluster" not in str(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(1)

    def wait_for(self, name, seconds=60):
        """Wait until a member is in the cluster and says that it is healthy."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.ask(self.addresses[name], "GET", "/health")["health"] == "true" and name in self.members():
                    return
                problem = "not healthy"
            except RuntimeError as error:
                problem = str(error)
            assert time.monotonic() < deadline, f"{name} did not join: {problem[-1000:]}"
            time.sleep(0.5)

    def stop(self, name):
        docker("stop", "--time", "5", name)

    def start(self, name):
        docker("start", name)
        self.wait_for(name)

    def leave(self):
        """Take them out of the cluster, those that are down first, and remove their containers."""
        running = docker("ps", "--format", "{{.Names}}", text=True).split()
        deadline = time.monotonic() + 60
        for name in sorted(self.names, key=lambda one: one in running):
            while True:
                try:
                    members = self.members()
                    number = members.get(name) or members.get("")
                    if number:
                        self.call("cluster/member/remove", ID=number)
                    break
                except RuntimeError:
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(1)
        for name in self.names:
            subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _below(archive, directory):
    """Return a tar archive's members below a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old.getmembers():
            content = old.extractfile(member)
            member.name = f"{directory}/{member.name}"
            member.uid = member.gid = 0
            member.mode = 0o644
            new.addfile(member, content)
    return out.getvalue()
