"""Move images from Docker's store into a containerd namespace, as a stream, under every name they have.

The images are saved by id and imported under names of our own (STAGING@sha256:...), then tagged with their real names:
so a tag that moves meanwhile cannot bring another image, the way of naming of a Docker release does not matter, and an
image that Docker knows by digest only comes along like any other. An import that was cut short leaves no image record,
only content that containerd's lease keeps for the next try and then collects.

An image id is the digest of its configuration, the same in Docker and in the manifest containerd makes of it; that is
how the two are matched. ``NAME@sha256:...`` then names that manifest although the registry's had another digest: the
CRI plugin resolves references by name, so a pod that asks by digest finds it (containerd pkg/cri/store/image, Resolve).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Set, Tuple

from . import commands, docker_engine
from .errors import NodeError

STAGING = "unshim.invalid/moved"  # .invalid is nobody's (RFC 2606)
PINNED = "io.cri-containerd.pinned=pinned"  # containerd internal/cri/labels: the kubelet's image GC passes it over
SPARE_SPACE = 256 << 20  # bytes that must stay free beside the images
CHUNK = 1 << 20
LAST_WORDS = 60  # seconds an importer may take to say why it stopped reading
F_SETPIPE_SZ = 1031  # linux/fcntl.h; Python names it from 3.10 on

Record = NamedTuple("Record", [("name", str), ("digest", str), ("ready", bool)])  # ready: all content there, unpacked
Need = NamedTuple(
    "Need",
    [
        ("image", Dict[str, Any]),  # the plan's ImageMove
        ("names", List[str]),  # as containerd writes them
        ("missing", List[str]),  # of those, the ones containerd lacks or has for another or incomplete image
        ("source", str),  # a complete record of the same image to tag from, "" if the content has to be moved
    ],
)


# Pure


def normalised(reference: str) -> str:
    """Return a Docker reference as containerd names the image: with registry, "library/" and tag or digest.

    As distribution/reference does (ParseDockerRef): the first component is a registry only if it has a dot, a colon or
    an upper-case letter, or is "localhost"; a reference with tag and digest keeps the digest.
    """
    name, at, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if slash and (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        domain, path = first, rest
    else:
        domain, path = "docker.io", name
    if domain == "index.docker.io":
        domain = "docker.io"
    if domain == "docker.io" and "/" not in path:
        path = "library/" + path
    path, _, tag = path.partition(":")
    if at:
        return "%s/%s@%s" % (domain, path, digest)
    return "%s/%s:%s" % (domain, path, tag or "latest")


def parse_check(text: str) -> Dict[str, Record]:
    """Return the records of `ctr images check` by name.

    Columns: REF TYPE DIGEST STATUS SIZE UNPACKED, e.g. "complete (7/7)" or "incomplete (3/7)", and "true" or "false".
    """
    found = {}
    for line in text.splitlines():
        match = re.match(r"(\S+)\s+\S+\s+(sha256:[0-9a-f]{64})\s+(\w+)\b.*?(true|false)?\s*$", line)
        if match:
            name, digest, status, unpacked = match.groups()
            found[name] = Record(name, digest, status == "complete" and unpacked == "true")
    return found


def parse_labelled(text: str, label: str) -> Set[str]:
    """Return the names in `ctr images ls` that carry ``label`` ("key=value"); labels are its last column."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 2 and label in words[-1].split(","):
            found.add(words[0])
    return found


def needs(images: Iterable[Dict[str, Any]], records: Dict[str, Record], ids: Dict[str, Set[str]]) -> List[Need]:
    """Return what each image needs.

    Args:
        images: the plan's ImageMoves.
        records: what the namespace has, by name.
        ids: by manifest digest, the image ids it stands for.
    """
    found = []
    for image in images:
        names = sorted({normalised(name) for name in image["names"]})
        right = [
            name
            for name in names
            if name in records and records[name].ready and image["id"] in ids.get(records[name].digest, ())
        ]
        source = right[0] if right else ""
        if not source:
            # Left by a run that was cut short between import and tagging, or put there by the CRI plugin.
            for record in records.values():
                if record.ready and image["id"] in ids.get(record.digest, ()):
                    source = record.name
                    break
        found.append(Need(image, names, [name for name in names if name not in right], source))
    return found


def chain_ids(layers: List[str]) -> List[str]:
    """Return the chain id of each layer of an image: its name in Docker's layer store (OCI image-spec, ChainID)."""
    found: List[str] = []
    for layer in layers:
        if found:
            layer = "sha256:" + hashlib.sha256(("%s %s" % (found[-1], layer)).encode("ascii")).hexdigest()
        found.append(layer)
    return found


def space_needed(size: int, same_filesystem: bool) -> Tuple[int, int]:
    """Return the bytes that must be free for Docker and for containerd while ``size`` bytes of layers move.

    `docker save` writes the layers below Docker's root before it sends them, and removes them at its end; containerd
    keeps the layers it receives and then unpacks them. On one filesystem the first copy has gone when the last is made.
    """
    if same_filesystem:
        return 2 * size + SPARE_SPACE, 0
    return size + SPARE_SPACE, 2 * size + SPARE_SPACE


def batches(ids: List[str], docker_version: str) -> List[List[str]]:
    """Return the ids to save together: all of them, so that a layer they share goes over once.

    Docker since 25 saves in the OCI layout, and 26.1.5 was seen to list only one of several images that are saved by id
    in its index.json: there, each goes alone.
    """
    major = docker_version.split(".")[0]
    if re.match(r"[0-9]{1,9}$", major) and int(major) < 25:
        return [ids] if ids else []
    return [[identity] for identity in ids]


def in_words(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return "%d bytes" % size if unit == "bytes" else "%.1f %s" % (size, unit)
        size /= 1024.0
    return "%.1f TiB" % size


# containerd


class Store(object):
    """The images of one containerd namespace, by `ctr`."""

    def __init__(self, socket, namespace, snapshotter=""):
        self.argv = ["ctr", "--address", socket, "--namespace", namespace]
        self.namespace = namespace
        self.unpack_with = ["--snapshotter", snapshotter] if snapshotter else []  # else ctr's default, overlayfs

    def run(self, *arguments, **options):
        return commands.run(self.argv + list(arguments), **options)

    def records(self) -> Dict[str, Record]:
        result = self.run("images", "check", *self.unpack_with, timeout=300, check=False)
        if result.rc != 0 and not result.out.strip():
            raise NodeError(
                "containerd does not answer: `%s` said: %s. Start containerd.service and run again."
                % (commands.quote(result.argv), commands.last_lines(result.err))
            )
        return parse_check(result.out)

    def ids(self, records: Iterable[Record]) -> Dict[str, Set[str]]:
        """Return the image ids of each record's digest: its configuration's, and with Docker's own containerd store
        (Docker 29) the digest itself."""
        found: Dict[str, Set[str]] = {}
        for record in records:
            if record.ready and record.digest not in found:
                found[record.digest] = {record.digest} | self._configurations(record.digest)
        return found

    def _configurations(self, digest: str, depth: int = 0) -> Set[str]:
        result = self.run("content", "get", digest, timeout=60, check=False)
        try:
            manifest = json.loads(result.out) if result.rc == 0 else {}
        except ValueError:
            return set()
        found: Set[str] = set()
        if isinstance(manifest.get("config"), dict):
            found.add(manifest["config"].get("digest", ""))
        for child in manifest.get("manifests") or () if depth < 2 else ():
            # An index names every platform; only those whose content is here can be read.
            found |= self._configurations(child.get("digest", ""), depth + 1)
        return found

    def tag(self, source, names):
        if names:
            self.run("images", "tag", "--force", source, *names, timeout=120)

    def remove(self, names):
        if names:
            self.run("images", "rm", *names, timeout=120)

    def pinned(self) -> Set[str]:
        return parse_labelled(self.run("images", "ls", timeout=120).out, PINNED)

    def pin(self, name):
        self.run("images", "label", name, PINNED, timeout=60)

    def import_command(self) -> List[str]:
        argv = self.argv + ["images", "import", "--digests", "--base-name", STAGING]
        # ctr 2.x imports through the transfer service unless told; --local is what every 1.x did.
        if "--local" in self.run("images", "import", "--help", timeout=30, check=False).out:
            argv.append("--local")
        return argv + self.unpack_with + ["-"]


class EmptyStore(object):
    """The images of a containerd that is not there yet: none."""

    def records(self):
        return {}

    def ids(self, records):
        return {}

    def pinned(self):
        return set()


# Docker


def in_docker(ids: List[str]) -> Dict[str, Dict[str, Any]]:
    """Return `docker image inspect` of those of ``ids`` that Docker has."""
    if not ids:
        return {}
    result = commands.run(["docker", "image", "inspect"] + ids, timeout=300, check=False)
    errors = [line for line in result.err.splitlines() if line.strip() and "No such image" not in line]
    if errors:
        raise NodeError("`docker image inspect` failed: %s" % commands.last_lines(result.err))
    return {data["Id"]: data for data in json.loads(result.out or "[]")}


def layer_bytes(inspected: Iterable[Dict[str, Any]], root: str, driver: str) -> int:
    """Return the bytes of all layers of these images, each layer counted once.

    Docker keeps each layer's size in ROOT/image/DRIVER/layerdb/sha256/CHAIN/size; where that cannot be read, the
    images' own sizes are added up, which counts shared layers more than once.
    """
    inspected = list(inspected)
    sizes = {}
    try:
        for data in inspected:
            for chain in chain_ids((data.get("RootFS") or {}).get("Layers") or []):
                path = os.path.join(root, "image", driver, "layerdb", "sha256", chain.split(":", 1)[1], "size")
                with open(path, encoding="ascii") as stream:
                    sizes[chain] = int(stream.read())
    except (OSError, ValueError):
        return sum(int(data.get("Size") or 0) for data in inspected)
    return sum(sizes.values())


def check_space(size: int, docker_root: str, containerd_root: str) -> None:
    """Make sure both stores have room for ``size`` bytes of layers.

    Raises:
        NodeError: with the directory, what is free there and what is needed.
    """
    docker_root, containerd_root = _existing(docker_root), _existing(containerd_root)
    same = os.stat(docker_root).st_dev == os.stat(containerd_root).st_dev
    for_docker, for_containerd = space_needed(size, same)
    for path, needed in ((docker_root, for_docker), (containerd_root, for_containerd)):
        place = os.statvfs(path)
        free = place.f_bavail * place.f_frsize
        if free < needed:
            raise NodeError(
                "Moving %s of image layers needs %s free on the filesystem of %s, which has %s. Nothing was moved. "
                "Free some space (`docker image prune` removes what no container uses) or move fewer images, and run "
                "again." % (in_words(size), in_words(needed), path, in_words(free)),
                {"path": path, "needed": needed, "free": free},
            )


def _existing(path):
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


# The stream


def stream(save: List[str], load: List[str]) -> int:
    """Run ``save`` and feed its output to ``load``, without a shell or a file between; return the bytes that went over.

    Raises:
        NodeError: one of the two failed; with what both said.
    """
    programs = []
    for argv in (save, load):
        program = commands.find(argv[0])
        if program is None:
            raise NodeError("The program %s is not on this node; install it and run again." % argv[0])
        programs.append([program] + argv[1:])
    environment = commands.environment()
    # Files for what they say: a pipe nobody reads could fill and stop both.
    with tempfile.TemporaryFile() as save_said, tempfile.TemporaryFile() as load_said:
        processes: List[subprocess.Popen] = []
        try:
            writer = subprocess.Popen(
                programs[0], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=save_said, env=environment
            )
            processes.append(writer)
            reader = subprocess.Popen(
                programs[1], stdin=subprocess.PIPE, stdout=load_said, stderr=load_said, env=environment
            )
            processes.append(reader)
            for pipe in (writer.stdout, reader.stdin):
                _widen(pipe)
            count, is_taken = _pump(writer.stdout, reader.stdin)
            writer.stdout.close()  # if the importer has ended early, this ends the other
            if writer.wait() != 0 and is_taken:
                reader.kill()  # before its input ends: it must not take a cut stream for a whole one
            _close(reader.stdin)
            # An importer that wants no more has an error to tell, and may clean up first.
            with contextlib.suppress(subprocess.TimeoutExpired):
                reader.wait(None if is_taken else LAST_WORDS)
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        _close(pipe)
        failed = [
            "`%s` %s: %s." % (what, _how(process.returncode), _said(said))
            for what, process, said in (
                ("docker save", writer, save_said),
                ("ctr images import", reader, load_said),
            )
            if process.returncode != 0
        ]
        if failed:
            full = any("no space left on device" in one for one in failed)
            todo = "free some space on the file system named here, and run again" if full else "run again"
            raise NodeError("The images were not moved; %s. %s" % (todo, " ".join(failed)))
        return count


def _pump(source, sink):
    """Return the bytes that went over, and whether the other end took all of them."""
    count = 0
    while True:
        data = source.read(CHUNK)
        if not data:
            return count, True
        try:
            sink.write(data)
        except BrokenPipeError:  # its exit code and words say more
            return count, False
        count += len(data)


def _widen(pipe):
    """Let a pipe hold a whole chunk, not the usual 64 KiB, so that the three programs take turns less often."""
    with contextlib.suppress(OSError):  # pipe-max-size, or the user's share of it
        fcntl.fcntl(pipe, F_SETPIPE_SZ, CHUNK)


def _close(pipe):
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def _how(code):
    return "was ended by signal %d" % -code if code < 0 else "returned %d" % code


def _said(stream):
    stream.seek(0)
    return commands.last_lines(stream.read().decode("utf-8", "replace")) or "it printed nothing"


# All of it


def survey(images: List[Dict[str, Any]], store: Store) -> Tuple[List[Need], Set[str]]:
    """Return what each image needs, and the names that a run cut short has left behind."""
    records = store.records()
    wanted = {normalised(name) for image in images for name in image["names"]}
    # Every record that could be one of the images: reading all manifests of a large store would take long.
    known = {image["id"] for image in images}
    candidates = [
        record
        for record in records.values()
        if record.name in wanted or record.name in known or record.name.startswith(STAGING)
    ]
    staged = {name for name in records if name.startswith(STAGING)}
    return needs(images, records, store.ids(candidates)), staged


def move(images: List[Dict[str, Any]], store: Store, containerd_root: str, check_mode: bool = False) -> Dict[str, Any]:
    """Bring every image under every one of its names into ``store``; what is there already stays untouched.

    Returns:
        {"changed", "images": [{"id", "names", "status", "size"}], "bytes", "seconds", "warnings", "diff"}; a status is
        "present", "named" (its content was there, names were added), "moved" or "gone" (Docker no longer has it).

    Raises:
        NodeError: no room, Docker is stopped although an image is missing, a program failed, an image did not arrive.
    """
    started = time.time()
    surveyed, staged = survey(images, store)
    to_move = [need for need in surveyed if need.missing and not need.source]
    gone: Set[str] = set()
    inspected: Dict[str, Dict[str, Any]] = {}
    docker: Dict[str, Any] = {}
    size = 0
    if to_move:
        _require_docker(to_move)
        inspected = in_docker(sorted({need.image["id"] for need in to_move}))
        gone = {need.image["id"] for need in to_move} - set(inspected)
        pinned_and_gone = [need for need in to_move if need.image["id"] in gone and need.image.get("pinned")]
        if pinned_and_gone:
            raise NodeError(
                "Docker no longer has the sandbox image %s, without which containerd can start no pod. Pull it "
                "(`docker pull %s`) and run again." % (pinned_and_gone[0].names[0], pinned_and_gone[0].names[0])
            )
        to_move = [need for need in to_move if need.image["id"] not in gone]
        if to_move:
            docker.update(docker_engine.info())
            root = docker.get("DockerRootDir") or docker_engine.DEFAULT_ROOT
            size = layer_bytes(inspected.values(), root, docker.get("Driver") or "")
            check_space(size, root, containerd_root)
    to_name = [need for need in surveyed if need.missing and need.image["id"] not in gone]
    pins = [name for need in surveyed if need.image.get("pinned") for name in need.names]
    to_pin = [name for name in pins if name not in store.pinned()] if pins else []
    outcome = {
        "changed": bool(to_name or to_pin or staged),
        "bytes": 0,
        "layer_bytes": size,
        "images": [_result(need, need in to_move, gone) for need in surveyed],
        "warnings": [
            "Docker no longer has the image %s (%s), so it was not moved; containerd will pull it when a pod needs it."
            % (", ".join(need.image["names"]) or need.image["id"], need.image["id"][:19])
            for need in surveyed
            if need.image["id"] in gone
        ],
        "diff": _diff(surveyed, gone, to_pin),
    }
    if not check_mode:
        load = store.import_command() if to_move else []
        for batch in batches(sorted({need.image["id"] for need in to_move}), docker.get("ServerVersion") or ""):
            outcome["bytes"] += stream(["docker", "save"] + batch, load)
        if to_name or staged:
            _name(to_name, images, store)
        for name in to_pin:
            store.pin(name)
    outcome["seconds"] = round(time.time() - started, 3)
    return outcome


def _require_docker(to_move):
    if docker_engine.running():
        return
    names = [name for need in to_move for name in need.missing]
    raise NodeError(
        "These images are not in containerd, and Docker, which has them, is stopped: %s. Pull them (`ctr -n k8s.io "
        "images pull NAME`), or roll this node back and migrate it again." % ", ".join(names),
        {"missing": names},
    )


def _name(to_name, images, store):
    """Give the content in the store its names, drop our own names for it, and prove that everything is there."""
    found, staged = survey(images, store)
    now = {need.image["id"]: need for need in found}
    wanted = [now[need.image["id"]] for need in to_name]
    lost = [name for need in wanted if need.missing and not need.source for name in need.missing]
    if not lost:
        for need in wanted:
            store.tag(need.source, need.missing)
        store.remove(sorted(staged))
        ids = {need.image["id"] for need in to_name}
        lost = [name for need in survey(images, store)[0] if need.image["id"] in ids for name in need.missing]
    if lost:
        raise NodeError(
            "containerd took the images but these are not complete in its namespace %s: %s. Run again; if it stays so, "
            "look at `ctr -n %s images check`." % (store.namespace, ", ".join(lost), store.namespace),
            {"missing": lost},
        )


def _result(need, moves, gone):
    if need.image["id"] in gone:
        status = "gone"
    elif moves:
        status = "moved"
    else:
        status = "named" if need.missing else "present"
    return {"id": need.image["id"], "names": need.names, "status": status, "size": need.image.get("size", 0)}


def _diff(surveyed, gone, to_pin):
    before: Set[str] = set()
    after: Set[str] = set()
    for need in surveyed:
        before.update(name for name in need.names if name not in need.missing)
        after.update(name for name in need.names if need.image["id"] not in gone or name not in need.missing)
    pins = set(to_pin)
    return {
        "before": "".join("%s\n" % name for name in sorted(before)),
        "after": "".join("%s%s\n" % (name, " (pinned)" if name in pins else "") for name in sorted(after)),
        "before_header": "images in containerd",
        "after_header": "images in containerd",
    }
