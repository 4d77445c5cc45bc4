"""Ask one URL at a fixed rate and write down every answer: `time outcome milliseconds`, a line each.

Every request is a connection of its own, started on schedule whatever became of the one before, so a stall shows as
failures and not as a lower rate. Runs on a lab node; standard library only.
"""

import http.client
import ssl
import sys
import threading
import time
import urllib.request

TIMEOUT_SECONDS = 2.0


def ask(url, context, out, lock):
    began = time.time()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context) as answer:
            outcome = str(answer.status)
            answer.read()
    except (OSError, http.client.HTTPException) as error:
        outcome = type(error).__name__ + ":" + str(error).replace(" ", "_").replace("\n", "_")
    with lock:
        out.write(f"{began:.3f} {outcome} {(time.time() - began) * 1000:.1f}\n")
        out.flush()


def main(url, per_second, path):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    lock = threading.Lock()
    with open(path, "w") as out:
        due = time.monotonic()
        while True:
            threading.Thread(target=ask, args=(url, context, out, lock), daemon=True).start()
            due += 1.0 / per_second
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
