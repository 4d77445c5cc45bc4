"""The gate in front of a kubelet: its runtime answers, is in order, and has the images that must be there."""

from . import cri


def ask(params):
    """Return the result of the module ``cri_status``.

    Args:
        params: its parameters: endpoint, api, require, images, timeout.

    Raises:
        CriError: something required is not there.
    """
    said = cri.wait_ready(params["endpoint"], params["api"], params["timeout"], params["require"])
    client = cri.Client(params["endpoint"], said["api"])
    missing = [name for name in params["images"] if name and not client.image_present(name)]
    if missing:
        raise cri.CriError(
            "The runtime at %s does not have %s. Load or pull it into the namespace k8s.io (containerd_images does)."
            % (client.socket_path, ", ".join(missing)),
            {"cri": said, "images_missing": missing},
        )
    return {"changed": False, "ready": True, "cri": said, "images_missing": []}
