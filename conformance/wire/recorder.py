"""Keeps what goes over the wire, line by line."""

from dataclasses import dataclass, field

from conformance.process.channel import Channel
from conformance.wire.client import Client


@dataclass
class Recorder:
    """Carries lines between a client and a port, and keeps them."""

    pipe: Channel | None = None
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def client(self, channel: Channel, limit_s: float) -> Client:
        """A client whose lines are kept."""
        self.pipe = channel
        return Client(self, limit_s)

    def ask(
        self, request: bytes, limit_s: float, max_bytes: int, idle_s: float | None = None
    ) -> bytes:
        """See Channel.ask."""
        assert self.pipe is not None
        self.requests.append(request)
        self.answers.append(answer := self.pipe.ask(request, limit_s, max_bytes, idle_s))
        return answer
