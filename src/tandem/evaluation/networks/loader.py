"""The networks that metrics look through, each loaded once, when the first metric asks for it."""

from pathlib import Path

import torch

from tandem.errors import ConfigError
from tandem.evaluation.networks.features import (
    FeatureExtractor,
    InputSpec,
    external_extractor,
    inception_extractor,
    mobilenet_extractor,
)
from tandem.evaluation.networks.lpips import LPIPS, LPIPSVersion, load_lpips
from tandem.evaluation.networks.segmenter import Segmenter
from tandem.evaluation.options import EvaluationOptions


class NetworkLoader:
    """Networks by the options that name them.

    Args:
        options: Which networks, and their weights.
        device: Where they run.
        may_download: Whether weights may be fetched.
    """

    def __init__(self, options: EvaluationOptions, *, device: torch.device, may_download: bool) -> None:
        self._options, self._device, self._may_download = options, device, may_download
        self._inception: FeatureExtractor | None = None
        self._features: FeatureExtractor | None = None
        self._lpips: dict[LPIPSVersion, LPIPS] = {}
        self._segmenter: Segmenter | None = None

    def inception(self) -> FeatureExtractor:
        """The FID network.

        Raises:
            WeightsError: Its weights are missing or others.
        """
        if self._inception is None:
            self._inception = inception_extractor(
                device=self._device,
                weights=self._options.inception,
                resizer=self._options.resizer,
                may_download=self._may_download,
                cache=self._options.weights,
            )
        return self._inception

    def features(self) -> FeatureExtractor:
        """The network of ``--features``.

        Raises:
            ConfigError: There is none.
            WeightsError: It cannot be read.
        """
        options = self._options
        if options.features is None:
            raise ConfigError(
                f"it needs {options.flag('features')} FILE, a feature network (MobileNet in .npz, .onnx, or "
                "TorchScript)."
            )
        if self._features is None:
            self._features = self._read_features(options.features)
        return self._features

    def features_or_inception(self) -> FeatureExtractor:
        """The network of ``--features`` if there is one, else that of FID."""
        return self.inception() if self._options.features is None else self.features()

    def lpips(self, usual: LPIPSVersion) -> LPIPS:
        """LPIPS of the version that was asked for, or the `usual` one.

        Raises:
            WeightsError: Its weights are missing or others.
        """
        options = self._options
        version = options.lpips_version or usual
        if version not in self._lpips:
            self._lpips[version] = load_lpips(
                options.lpips_network,
                version,
                device=self._device,
                backbone_weights=options.lpips_backbone,
                head_weights=options.lpips_heads,
                may_download=self._may_download,
                cache=self._options.weights,
            )
        return self._lpips[version]

    def segmenter(self) -> Segmenter:
        """The segmentation model.

        Raises:
            ConfigError: There is none.
            WeightsError: It cannot be read.
        """
        options = self._options
        if options.segmenter is None:
            raise ConfigError("it needs a segmentation model and the colours of its classes: --segmenter, --palette.")
        if self._segmenter is None:
            self._segmenter = Segmenter(
                options.segmenter,
                InputSpec.of_range(options.segmenter_size, options.segmenter_range),
                device=self._device,
                resizer=options.resizer,
                trust_torchscript=options.trust_torchscript,
            )
        return self._segmenter

    def _read_features(self, path: Path) -> FeatureExtractor:
        options = self._options
        if path.suffix.lower() == ".npz":
            return mobilenet_extractor(path, device=self._device, resizer=options.resizer)
        return external_extractor(
            path,
            InputSpec.of_range(options.features_size, options.features_range),
            device=self._device,
            resizer=options.resizer,
            trust_torchscript=options.trust_torchscript,
        )
