"""Graphs of ONNX operators, written node by node; the values between them have names that are counted.

Only operators of the standard set are used, none with a graph inside. What is written follows from the calls alone:
there are no paths, dates or versions of libraries in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tandem.checkpoint.storage import SMALL, Storage, int8_steps
from tandem.inference.onnx import wire

OPSET = 20
IR_VERSION = 9
"""Of the format, as the release of opset 20 has it."""
Attribute = int | float | str | Sequence[int]

_FLOAT, _INT8, _INT64, _FLOAT16 = 1, 3, 7, 10
_TYPES: Mapping[np.dtype, int] = {
    np.dtype(np.float32): _FLOAT,
    np.dtype(np.int8): _INT8,
    np.dtype(np.int64): _INT64,
    np.dtype(np.float16): _FLOAT16,
}


class Graph:
    """A graph that grows by one node with each call.

    Args:
        name: Of the graph.
        storage: How its weights are stored.
    """

    def __init__(self, name: str, *, storage: Storage = "fp32") -> None:
        self._name, self._storage = name, storage
        self._nodes: wire.Encoded = []
        self._tensors: dict[str, wire.Encoded] = {}
        self._inputs: wire.Encoded = []
        self._outputs: wire.Encoded = []
        self._count = 0

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """An input, float32; sizes that are free have names."""
        self._inputs += wire.block(11, _value_info(name, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give a value out under a name, float32."""
        self._nodes += wire.block(1, _node("Identity", [value], [name], {}))
        self._outputs += wire.block(12, _value_info(name, shape))

    def node(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operator that gives one value.

        Args:
            operator: Its name in the standard set.
            inputs: Names of values.
            attributes: Of the operator.

        Returns:
            The name of what it gives.
        """
        self._count += 1
        name = f"v{self._count}"
        self._nodes += wire.block(1, _node(operator, inputs, [name], attributes))
        return name

    def constant(self, values: Sequence[int] | np.ndarray) -> str:
        """A constant: whole numbers as int64, or an array as it is; equal ones are stored once."""
        array = np.asarray(values)
        array = array if isinstance(values, np.ndarray) else array.astype(np.int64)
        name = f"c_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes().hex()}"
        if len(name) > 80:
            name = f"c{len(self._tensors)}"
        return self.tensor(name, array)

    def tensor(self, name: str, array: np.ndarray) -> str:
        """Numbers under a name, as they are."""
        if name not in self._tensors:
            self._tensors[name] = wire.block(5, _tensor(name, array))
        return name

    def weight(self, name: str, array: np.ndarray, *, axis: int) -> str:
        """A weight, float32, stored as the graph stores weights.

        Args:
            name: Its name.
            array: Its numbers.
            axis: That of the output channels, each of which has a scale of its own as int8.
        """
        if self._storage == "fp32" or (self._storage == "int8" and array.size < SMALL):
            return self.tensor(name, array)
        if self._storage == "fp16":
            with np.errstate(over="ignore"):  # infinite where float16 does not hold it, which the proof finds
                return self.node("Cast", self.tensor(name, array.astype(np.float16)), to=_FLOAT)
        steps, scale = int8_steps(array, axis=axis)
        names = (self.tensor(name, steps), self.tensor(f"{name}.scale", scale))
        return self.node("DequantizeLinear", *names, axis=axis)

    def encode(self) -> wire.Encoded:
        """The graph as a message."""
        tensors = [piece for pieces in self._tensors.values() for piece in pieces]
        return [*self._nodes, *wire.text(2, self._name), *tensors, *self._inputs, *self._outputs]


def _node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]
) -> wire.Encoded:
    pieces: wire.Encoded = []
    for name in inputs:
        pieces += wire.text(1, name)
    for name in outputs:
        pieces += wire.text(2, name)
    pieces += wire.text(4, operator)
    for name, value in attributes.items():
        pieces += wire.block(5, _attribute(name, value))
    return pieces


def _attribute(name: str, value: Attribute) -> wire.Encoded:
    kind: int
    match value:
        case int():
            kind, own = 2, wire.number(3, value)
        case float():
            kind, own = 1, wire.single(2, value)
        case str():
            kind, own = 3, wire.text(4, value)
        case _:
            kind, own = 7, [piece for one in value for piece in wire.number(8, one)]
    return [*wire.text(1, name), *own, *wire.number(20, kind)]


def _tensor(name: str, array: np.ndarray) -> wire.Encoded:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    dims = [piece for side in array.shape for piece in wire.number(1, side)]
    raw: Any = memoryview(little).cast("B")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return [*dims, *wire.number(2, _TYPES[array.dtype]), *wire.text(8, name), *wire.block(9, [raw])]


def _value_info(name: str, shape: Sequence[int | str]) -> wire.Encoded:
    sides: wire.Encoded = []
    for side in shape:
        sides += wire.block(1, wire.number(1, side) if isinstance(side, int) else wire.text(2, side))
    tensor = [*wire.number(1, _FLOAT), *wire.block(2, sides)]
    return [*wire.text(1, name), *wire.block(2, wire.block(1, tensor))]
