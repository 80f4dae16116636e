"""The kinds of object: one module each, one function from a random generator to an outline."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from tandem.data.synthetic.geometry import Outline
from tandem.data.synthetic.kinds.backpack import backpack
from tandem.data.synthetic.kinds.boot import boot
from tandem.data.synthetic.kinds.handbag import handbag
from tandem.data.synthetic.kinds.hat import hat
from tandem.data.synthetic.kinds.pump import pump
from tandem.data.synthetic.kinds.sneaker import sneaker

BUILDERS: Mapping[str, Callable[[np.random.Generator], Outline]] = MappingProxyType(
    {"sneaker": sneaker, "boot": boot, "pump": pump, "handbag": handbag, "backpack": backpack, "hat": hat}
)
"""How to draw each kind; the order is part of the dataset's definition."""
