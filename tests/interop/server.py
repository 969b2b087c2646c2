"""The real server as a child process. Python's standard library alone."""

from __future__ import annotations

import re
import subprocess
import threading

READY_WITHIN_SECONDS = 60


class Server:
    """attnserve, on free ports unless others are given; a context manager. Its log
    is in `log`."""

    def __init__(self, binary: str, *flags: str, grpc_address: str = "127.0.0.1:0",
                 http_address: str = "127.0.0.1:0", drain_delay: str = "0s") -> None:
        self.log: list[str] = []
        self._ready = threading.Event()
        self._address = ""
        self._http_address = ""
        self._process = subprocess.Popen(
            [binary, "--grpc-address", grpc_address, "--http-address", http_address, "--drain-delay", drain_delay,
             *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line)
            found = re.search(r"serving .*grpc=(\S+) http=(\S+)", line)
            if found:
                self._address, self._http_address = found.groups()
                self._ready.set()
        self._ready.set()

    def __enter__(self) -> Server:
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def address(self) -> str:
        """Waits until the server serves. RuntimeError if it does not."""
        if not self._ready.wait(READY_WITHIN_SECONDS) or not self._address:
            raise RuntimeError("the server did not start:\n" + "".join(self.log))
        return self._address

    def http_address(self) -> str:
        """As address, of /metrics and its kin."""
        self.address()
        return self._http_address

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Its exit code after SIGTERM."""
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(timeout=60)

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        # The reader ends with the process, whose output it reads.
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
