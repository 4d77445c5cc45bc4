"""Do as ansible-inventory does, and say before, on standard error, what ansible.cfg says about reaching nodes.

One process for both: each start of ansible-core takes half a second.
"""

import json
import sys

MARK = "@@unshim-settings "
SETTINGS = ("DEFAULT_REMOTE_USER", "DEFAULT_PRIVATE_KEY_FILE", "HOST_KEY_CHECKING")


def main() -> None:
    try:
        from ansible import constants
    except Exception as error:  # noqa: BLE001  of an ansible.cfg that cannot be read, many kinds
        sys.exit(" ".join(str(error).split()))
    from ansible.cli.inventory import main as inventory

    print(MARK + json.dumps({name: getattr(constants, name) for name in SETTINGS}), file=sys.stderr, flush=True)
    inventory(["ansible-inventory", *sys.argv[1:]])


if __name__ == "__main__":
    main()
