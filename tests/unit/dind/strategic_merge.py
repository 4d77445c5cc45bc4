"""Apply a strategic merge patch to a workload, as the API server does: merge keys, $patch and $setElementOrder.

By the API's own words: kubernetes/community contributors/devel/sig-api-machinery/strategic-merge-patch.md, and the merge keys that
kubernetes' types name (patchMergeKey in staging/src/k8s.io/api/core/v1/types.go).
"""

import copy

KEYS = {
    "containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
    "ports": "containerPort", "imagePullSecrets": "name",
}  # fmt: skip
ORDER = "$setElementOrder/"


def merged(original, patch):
    """Return the object after the patch."""
    found = copy.deepcopy(original)
    for key, value in patch.items():
        if key.startswith(ORDER):
            continue
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            found[key] = merged(found.get(key) or {}, value)
        elif isinstance(value, list) and key in KEYS:
            found[key] = _merged_list(found.get(key) or [], value, KEYS[key])
        else:
            found[key] = copy.deepcopy(value)
    for key, order in patch.items():
        if key.startswith(ORDER):
            name = key.removeprefix(ORDER)
            wanted = [one[KEYS[name]] for one in order]
            found[name].sort(key=lambda one, name=name: wanted.index(one[KEYS[name]]))
    return found


def _merged_list(original, patch, key):
    found = copy.deepcopy(original)
    for one in patch:
        at = next((index for index, there in enumerate(found) if there[key] == one[key]), None)
        if one.get("$patch") == "delete":
            if at is not None:
                del found[at]
        elif at is None:
            found.append(copy.deepcopy(one))
        else:
            found[at] = merged(found[at], one)
    return found
