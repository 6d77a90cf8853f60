"""The array type that the whole project's annotations use."""

from typing import Any, TypeAlias

import numpy as np

# Any: the element type is what `reference.algorithm.network` leaves open on purpose.
Array: TypeAlias = np.ndarray[Any, Any]
