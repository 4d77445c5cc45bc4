"""Whether an object has the shape that the Kubernetes API documents, by the classes of the official client: they know every
field with its type, and take no other."""

import pydantic
from kubernetes import client

#: Removed from the API with 1.25, and so from the client.
GONE = ("PodSecurityPolicy",)


def mistakes(manifest):
    """Return fields of an object that the API does not have, lacks, or has in another shape."""
    kind = manifest["kind"]
    if kind in GONE:
        return []
    version = manifest["apiVersion"].rpartition("/")[2]
    model = getattr(client, version[0].upper() + version[1:] + kind)
    try:
        model.model_validate(manifest)
    except pydantic.ValidationError as error:
        return [f"{kind}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []
