"""One port's process: a request goes in as a line, an answer comes back as a line, or trouble.

Whatever the process does (crash, hang, flood), `ask` returns within its time limit, and
`close` leaves no process behind.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from types import TracebackType
from typing import IO, Literal, Self

MAX_ANSWER_BYTES = 256 * 2**20
STDERR_KEPT = 4000
CHUNK = 2**16


class Trouble(Exception):
    """The process did not answer as it should; it must not be asked again."""

    def __init__(self, status: Literal["CRASH", "TIMEOUT", "GARBAGE"], reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Channel:
    """Starts the process at once. Raises Trouble if that is not possible."""

    def __init__(self, command: list[str], cwd: str, env: dict[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # its children end with it: see close
            )
        except (OSError, ValueError) as error:
            raise Trouble("CRASH", f"cannot be started: {error}") from error
        self._stderr = b""
        self._unread = bytearray()
        self._pending = memoryview(b"")
        for stream in self._streams():
            os.set_blocking(stream.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, request: bytes, limit_s: float) -> bytes:
        """Send one line, return the line that answers it.

        Raises Trouble when the process ends (CRASH), is silent for `limit_s` seconds
        (TIMEOUT), or writes before it is asked or without end (GARBAGE).
        """
        deadline = time.monotonic() + limit_s
        if self._unread or self._read(self._stdout):
            raise Trouble("GARBAGE", "wrote to stdout without being asked")
        self._pending = memoryview(request)
        scanned = 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._errors, selectors.EVENT_READ)
            while (end := self._unread.find(b"\n", scanned)) < 0:
                scanned = len(self._unread)
                if scanned > MAX_ANSWER_BYTES:
                    raise Trouble("GARBAGE", f"answer is longer than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise Trouble("TIMEOUT", f"no answer within {limit_s:g} s{self._said()}")
                self._pump(selector, max(0.0, deadline - time.monotonic()))
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line

    def _pump(self, selector: selectors.BaseSelector, wait_s: float) -> None:
        """Move what can be moved; raise Trouble if the process has ended."""
        # A child that keeps the pipe open would hide the end of the process, so its status
        # is looked at whenever nothing is heard for a moment.
        ready = [key.fileobj for key, _ in selector.select(min(0.1, wait_s))]
        if not ready and self._process.poll() is not None:
            raise self._ended()
        if self._stdin in ready:
            self._write()
            if not self._pending:
                selector.unregister(self._stdin)
        if self._errors in ready and not self._drain_stderr():
            selector.unregister(self._errors)
        if self._stdout in ready:
            data = self._read(self._stdout)
            if data == b"":
                raise self._ended()
            self._unread += data or b""

    def close(self) -> None:
        """Let the process end by itself for a moment, then kill it and all its children."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        self._kill()
        for stream in self._streams():
            with contextlib.suppress(OSError):
                stream.close()

    def kill(self) -> None:
        """End the process at once; after trouble, there is nothing to wait for."""
        self._kill()
        self.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _streams(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        return self._stdin, self._stdout, self._errors

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def _errors(self) -> IO[bytes]:
        assert self._process.stderr is not None
        return self._process.stderr

    def _write(self) -> None:
        try:
            sent = os.write(self._stdin.fileno(), self._pending[:CHUNK])
        except BlockingIOError:
            sent = 0
        except OSError:  # the process closed its stdin or ended; reading will say which
            sent = len(self._pending)
        self._pending = self._pending[sent:]

    @staticmethod
    def _read(stream: IO[bytes]) -> bytes | None:
        """What is there to read: None if nothing is, b"" at the end."""
        try:
            return os.read(stream.fileno(), CHUNK)
        except BlockingIOError:
            return None

    def _drain_stderr(self) -> bool:
        """Keep the end of what is on stderr; False once it is closed."""
        data = self._read(self._errors)
        self._stderr = (self._stderr + (data or b""))[-STDERR_KEPT:]
        return data != b""

    def _ended(self) -> Trouble:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return Trouble("CRASH", f"closed its stdout without answering{self._said()}")
        if code < 0:
            return Trouble("CRASH", f"was ended by {_signal_name(-code)}{self._said()}")
        return Trouble("CRASH", f"ended with exit code {code} without answering{self._said()}")

    def _said(self) -> str:
        """The last line on stderr, which often says why."""
        self._drain_stderr()
        lines = self._stderr.decode(errors="replace").strip().splitlines()
        return f"; its last words: {lines[-1][-300:]}" if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
