#!/usr/bin/env python3
"""What a real server exports passes `promtool check metrics`.

  metrics.py PATH_OF_ATTNSERVE
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import repository

READY_WITHIN_SECONDS = 30


def scrape(address, process):
    """The body of /metrics, as soon as the server answers."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as reply:
                return reply.read()
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main():
    server = sys.argv[1]
    promtool = repository.require("promtool")
    if not os.path.exists(server):
        print(f"skipped: {server} is not built")
        return 77
    address = repository.free_address()
    process = subprocess.Popen([server, "--grpc-address", "127.0.0.1:0", "--http-address", address,
                                "--drain-delay", "0s"])
    try:
        body = scrape(address, process)
    finally:
        process.terminate()
        code = process.wait(timeout=60)
    check = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True)
    words = (check.stdout + check.stderr).decode()
    problems = [words] if check.returncode or words.strip() else []
    if code != 0:
        problems.append(f"the server's exit code is {code}")
    return repository.report("promtool check metrics", problems, body.count(b"# TYPE"))


if __name__ == "__main__":
    sys.exit(main())
