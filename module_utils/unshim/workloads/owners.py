"""Which objects are only the offspring of others that are scanned themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .model import Document, Json

MIRROR = "kubernetes.io/config.mirror"


def without_offspring(documents: Sequence[Document]) -> list[Document]:
    """Return the documents without those that a controller among them made, and without what is there twice.

    Of pods whose controller is not among them (a custom resource nobody may read) the first one of each controller stays. Of
    static pods the manifests from the nodes stay, and the API's images of them go.
    """
    uids = {document.metadata.get("uid") for document in documents} - {None}
    names = {(document.kind, document.namespace, document.name) for document in documents}
    manifests = {(document.node, document.namespace, document.name) for document in documents if document.node}
    orphans: set[tuple[str, str, str]] = set()
    kept: list[Document] = []
    for document in documents:
        owner = controller(document.metadata)
        if owner:
            key = (str(owner.get("kind")), document.namespace, str(owner.get("name")))
            if owner.get("uid") in uids or key in names:
                continue
            if owner.get("kind") != "Node":
                if key in orphans:
                    continue
                orphans.add(key)
        if is_mirror(document) and _manifest_name(document) in manifests:
            continue
        kept.append(document)
    return list(_once(kept))


def controller(metadata: Json) -> Json:
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, dict) and owner.get("controller"):
            return owner
    return {}


def is_mirror(document: Document) -> bool:
    """True for the API's image of a static pod."""
    notes = document.metadata.get("annotations")
    return document.kind == "Pod" and isinstance(notes, dict) and MIRROR in notes


def _manifest_name(document: Document) -> tuple[str, str, str]:
    spec = document.object.get("spec")
    node = str(spec.get("nodeName") or "") if isinstance(spec, dict) else ""
    return node, document.namespace, document.name.removesuffix(f"-{node}")


def _once(documents: Iterable[Document]) -> Iterable[Document]:
    """The API serves some kinds under two groups."""
    seen: set[str] = set()
    for document in documents:
        uid = document.metadata.get("uid")
        if not uid or uid not in seen:
            yield document
        if uid:
            seen.add(uid)
