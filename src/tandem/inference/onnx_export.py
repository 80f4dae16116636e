"""Generators and encoders as ONNX models, with any number of images of any size."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from tandem.config.specifications import (
    EncoderSpec,
    NetworkSpec,
    PairEncoderSpec,
    ResidualUNetSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.errors import ConfigError, MissingExtraError

EXAMPLE_IMAGES = 2
"""Images in the example that is traced; with one, the exporter would take their number for a constant."""


def to_onnx(spec: NetworkSpec, network: nn.Module) -> bytes:
    """Export a network.

    Args:
        spec: Of a generator or an encoder.
        network: In eval mode. A generator takes ``a`` (N, C, H, W) and, with a latent, ``z`` (N, latent_dim) and
            gives ``b`` (N, C, H, W); an encoder takes ``b`` and gives ``mu`` and ``logvar`` (N, latent_dim); one that
            sees inputs too takes ``a`` (N, C, H, W) and ``known`` (N,) beside it. N, H and W are free.

    Returns:
        A serialised ``ModelProto``.

    Raises:
        MissingExtraError: The extra ``onnx`` is not installed.
        ConfigError: The network cannot be exported.
    """
    try:
        import onnxscript  # noqa: F401, PLC0415  (an extra; what the exporter needs)
    except ImportError as error:
        raise MissingExtraError("onnxscript", "onnx", "Exporting to ONNX") from error
    assert isinstance(spec, UNetSpec | ResNetSpec | ResidualUNetSpec | EncoderSpec | PairEncoderSpec)
    side = 2 * spec.smallest_side
    image = torch.zeros(EXAMPLE_IMAGES, spec.in_channels, side, 2 * side)
    free = torch.export.Dim.DYNAMIC
    arguments, shapes = [image], [{0: free, 2: free, 3: free}]
    if isinstance(spec, EncoderSpec | PairEncoderSpec):
        inputs, outputs = ["b"], ["mu", "logvar"]
        if isinstance(spec, PairEncoderSpec) and spec.input_channels:
            inputs += ["a", "known"]
            arguments += [torch.zeros(EXAMPLE_IMAGES, spec.input_channels, side, 2 * side), torch.ones(EXAMPLE_IMAGES)]
            shapes += [{0: free, 2: free, 3: free}, {0: free}]
    else:
        inputs, outputs = ["a"], ["b"]
        if spec.latent_dim:
            inputs.append("z")
            arguments.append(torch.zeros(EXAMPLE_IMAGES, spec.latent_dim))
            shapes.append({0: free})
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                tuple(arguments),
                dynamo=True,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=tuple(shapes),
                verbose=False,
            )
            assert program is not None
            return program.model_proto.SerializeToString()
    except (RuntimeError, ValueError, TypeError) as error:
        first = next(iter(str(error).splitlines()), "no message")
        raise ConfigError(f"this network cannot be exported to ONNX: {first}.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that are not installed and of its own parts, at every call."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
