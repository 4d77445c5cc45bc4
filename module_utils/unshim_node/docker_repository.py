"""Docker's package repository on a node: its key, checked by fingerprint, and the file that names it.

Both are written only where the node has no such repository yet. Nothing here trusts a key for other repositories: apt's
``Signed-By`` and dnf's ``gpgkey`` bind it to this one.
"""

import base64
import binascii
import configparser
import hashlib
import os
import re

from . import files
from .errors import NodeError

MARK = "# Written by unshim"
ARMOUR = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
APT_SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d")
RPM_SOURCES = ("/etc/yum.repos.d", "/etc/zypp/repos.d")


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of the first key in an armoured or binary OpenPGP key file, in upper case without spaces.

    Raises:
        NodeError: it is not such a file, or its key is older than version 4 (RFC 4880, 12.2).
    """
    packet = _public_keys(key)[0]
    if packet[0] != 4:
        raise NodeError("The key of Docker's repository is a version %d key, which cannot be checked." % packet[0])
    return hashlib.sha1(b"\x99" + len(packet).to_bytes(2, "big") + packet).hexdigest().upper()


def _public_keys(key):
    """Return the bodies of the primary keys' packets in a key file, at least one."""
    match = ARMOUR.search(key.decode("ascii", "replace"))
    try:
        if match:
            body = re.split(r"\r?\n[ \t]*\r?\n", match.group(1), maxsplit=1)[-1]
            lines = [line.strip() for line in body.split("\n")]
            key = base64.b64decode("".join(line for line in lines if line and not line.startswith("=")), validate=True)
        kind, packet, end = _packet(key, 0)
        if kind != 6:
            raise ValueError("its first packet is of kind %d, not a public key" % kind)
        keys = [packet]
        while end < len(key):
            kind, packet, end = _packet(key, end)
            if kind == 6:
                keys.append(packet)
    except (binascii.Error, IndexError, ValueError) as error:
        raise NodeError(
            "The key of Docker's repository is not an OpenPGP public key (%s); nothing was changed. Look at what its "
            "address returns." % (error or type(error).__name__)
        ) from None
    return keys


def _packet(data, place):
    """Return (kind, body, where the next one begins) of the packet at ``place``."""
    tag = data[place]
    if not tag & 0x80:
        raise ValueError("something in it is no packet" if place else "it does not begin with a packet")
    if tag & 0x40:
        kind, first = tag & 0x3F, data[place + 1]
        if first < 192:
            start, length = 2, first
        elif first < 224:
            start, length = 3, ((first - 192) << 8) + data[place + 2] + 192
        else:
            start, length = 6, int.from_bytes(data[place + 2 : place + 6], "big")
    else:
        kind, size = (tag >> 2) & 0x0F, 1 << (tag & 3)
        if size == 8:
            raise ValueError("a packet of it has no length")
        start, length = 1 + size, int.from_bytes(data[place + 1 : place + 1 + size], "big")
    end = place + start + length
    if end > len(data) or not length:
        raise ValueError("it is cut off")
    return kind, data[place + start : end], end


def check_key(key: bytes, wanted: str, url: str) -> None:
    """Raise if the key is none, or not the one with the fingerprint ``wanted`` ("": any)."""
    actual = fingerprint(key)
    if wanted and actual != re.sub(r"\s", "", wanted).upper():
        raise NodeError(
            "The key of Docker's repository from %s has the fingerprint %s, not %s; nothing was changed. If that is your "
            "mirror's own key, set unshim_docker_repository_fingerprint."
            % (url, actual, re.sub(r"\s", "", wanted).upper()),
            {"fingerprint": actual},
        )
    # Every key in the file would be trusted, and only the first one's fingerprint was looked at.
    if wanted and (len(_public_keys(key)) > 1 or key.count(b"-----BEGIN") > 1):
        raise NodeError(
            "The key of Docker's repository from %s holds more keys than the one with the fingerprint %s; nothing was changed. "
            "Export that one alone (`gpg --armor --export %s`) and name the file in unshim_docker_repository_key."
            % (url, actual, actual)
        )


def existing(url: str, manager: str) -> str:
    """Return the file of the node's own that names this repository and is enabled, "" if there is none.

    A second one would not help: apt refuses the same repository with two keys.
    """
    for path in _source_files(APT_SOURCES if manager == "apt" else RPM_SOURCES):
        text = (files.read_bytes(path) or b"").decode("utf-8", "replace")
        named = _apt_names(path, text, url) if manager == "apt" else _rpm_names(text, url)
        if named:
            return path
    return ""


def _source_files(places):
    for place in places:
        if files.kind(place) == "file":
            yield place
        for name in files.names(place):
            if name.endswith((".list", ".sources", ".repo")):
                yield os.path.join(place, name)


def _apt_names(path, text, url):
    url = url.rstrip("/")
    if path.endswith(".sources"):
        for stanza in re.split(r"\n\s*\n", text):
            lines = [line for line in stanza.splitlines() if not line.startswith("#")]
            pairs = [line.partition(":") for line in lines]
            fields = {key.strip().lower(): value.strip() for key, _, value in pairs}
            if fields.get("enabled", "yes").lower() not in ("no", "false", "0") and url in [
                one.rstrip("/") for one in fields.get("uris", "").split()
            ]:
                return True
        return False
    return any(
        line.split("#")[0].split()[:1] == ["deb"] and url in [word.rstrip("/") for word in line.split("#")[0].split()]
        for line in text.splitlines()
    )


def _rpm_names(text, url):
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return False
    return any(
        parser.get(section, "baseurl", fallback="").startswith(url.rstrip("/") + "/")
        and parser.get(section, "enabled", fallback="1").strip().lower() in ("1", "true", "yes", "on")
        and not re.search(r"source|debug|test|nightly", section)
        for section in parser.sections()
    )


def conflict(path: str, content: bytes) -> None:
    """Raise if a file that is not ours stands where we would write."""
    now = files.read_bytes(path)
    if now is not None and now != content and MARK.encode() not in now:
        raise NodeError(
            "%s is there, was not written by unshim and names another repository; nothing was changed. Move it away, or "
            "install containerd from it with unshim_containerd_method: package and unshim_containerd_package: containerd.io."
            % path
        )


def key_conflict(path: str, key: bytes) -> None:
    """Raise if another repository's key stands where we would write; Docker's documentation gives that path to all."""
    now = files.read_bytes(path)
    try:
        same = now is None or fingerprint(now) == fingerprint(key)
    except NodeError:
        same = False
    if not same:
        raise NodeError(
            "%s is there and holds another key than that of Docker's repository; nothing was changed. A repository of this "
            "node may need it: give it another name there and in its source, or install containerd from that repository with "
            "unshim_containerd_method: package." % path
        )


def needs_armour(key: bytes) -> bool:
    """Return whether a key file is binary; apt tells the two apart by the file's name."""
    return b"-----BEGIN PGP" not in key


def armoured(key: bytes) -> bytes:
    """Return a key file as text; the checksum of RFC 4880 is optional and left out."""
    if not needs_armour(key):
        return key
    encoded = base64.b64encode(key).decode()
    lines = [encoded[i : i + 64] for i in range(0, len(encoded), 64)]
    return (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n%s\n-----END PGP PUBLIC KEY BLOCK-----\n" % "\n".join(lines)
    ).encode()
