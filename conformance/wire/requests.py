"""What a request to a port may hold, and how a port says that there is no answer."""

from typing import Any

Answer = dict[str, Any]
# What a request may hold beside sizes and data: the fields of `reference.settings.Settings`, which
# is not imported here, the number of the update in a single step, and that of networks.
SETTINGS = {
    *("alpha", "bias", "activation", "output", "loss", "batch_size", "iteration"),
    *("shuffle", "dropout", "philox_seed", "batch_norm", "norm_epsilon", "norm_rate"),
    *("trim_value", "trim_norm", "l1", "l2", "momentum", "nesterov"),
    *("adam", "beta1", "beta2", "adam_epsilon"),
    "networks",
}


class UnsupportedError(Exception):
    """The port says that it does not do this."""


class FailureError(Exception):
    """The port says that it failed, or breaks the contract."""
