"""What a request to a port may hold, and how a port says that there is no answer."""

import json
from typing import Any

from reference.algorithm.settings import Settings

Message = dict[str, Any]
FORMAT = 1  # of the protocol
HELLO: Message = {"op": "hello", "format": FORMAT}
# What a request may hold beside sizes and data: the settings, the number of the update in a single
# step, and how many networks there are.
SETTINGS = {*Settings._fields, "iteration", "networks"}


def line(number: int, request: Message) -> bytes:
    """A request as a port reads it; `number` is its id."""
    return json.dumps({"id": number, **request}).encode() + b"\n"


def function_of(request: Message) -> str:
    """The function of backprop.h that answers a request."""
    suffix = {"float64": "f64", "float32": "f32"}[request["dtype"]]
    return f"backprop_{request['op']}_{suffix}"


class Unsupported(Exception):
    """The port says that it does not do this."""


class Failure(Exception):
    """The port says that it failed, or breaks the contract."""
