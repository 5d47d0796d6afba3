"""What arrays hold, by names that annotations share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Reals = NDArray[np.floating[Any]]  # in single or double precision, and arithmetic stays in it
Ids = NDArray[np.int64]  # database keys
Rows = NDArray[np.intp]  # positions in another array
Integers = NDArray[np.integer[Any]]  # ids, positions, codes or counts
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Texts = NDArray[np.object_]
Array = NDArray[Any]  # of a type that its name or column decides
