"""The segmentation score, by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_files import write_identity, write_torchscript
from tandem.errors import ConfigError, DataError
from tandem.evaluation.metrics.segmentation import IGNORED, ConfusionMatrix, labels_from_colours
from tandem.evaluation.networks.features import InputSpec
from tandem.evaluation.networks.segmenter import Segmenter

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

CPU = torch.device("cpu")
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    return write_identity(tmp_path)


class TestSegmentation:
    def test_by_hand(self, identity: Path) -> None:
        """Six pixels, ground truth R R R / G G B, seen as R R G / G B B:
        pixels 4/6; classes 2/3, 1/2, 1/1; IoU 2/3, 1/3, 1/2."""
        ground_truth = labels_from_colours(np.array([[RED, RED, RED], [GREEN, GREEN, BLUE]], np.uint8), np.eye(3) * 255)
        assert ground_truth.tolist() == [[0, 0, 0], [1, 1, 2]]
        generated = torch.tensor([[RED, RED, GREEN], [GREEN, BLUE, BLUE]], dtype=torch.uint8).permute(2, 0, 1)[None]
        predicted = Segmenter(identity, InputSpec(None), device=CPU)(generated)
        assert predicted.tolist() == [[[0, 0, 1], [1, 2, 2]]]
        matrix = ConfusionMatrix(3)
        matrix.add(ground_truth, predicted[0])
        score = matrix.score()
        assert score.pixel_accuracy == pytest.approx(4 / 6)
        assert score.class_accuracy == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
        assert score.mean_iou == pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 3)
        assert score.num_pixels == 6

    def test_ignored_and_absent_classes_do_not_count(self) -> None:
        matrix = ConfusionMatrix(4)
        matrix.add(np.array([0, 0, 1, IGNORED]), np.array([0, 2, 1, 3]))
        score = matrix.score()
        assert score.num_pixels == 3
        assert score.class_accuracy == pytest.approx((1 / 2 + 1) / 2)
        assert score.mean_iou == pytest.approx((1 / 2 + 1 + 0) / 3)  # class 2 was predicted, class 3 does not occur
        assert np.isnan(score.ious[3])
        assert np.isnan(score.accuracies[2:]).all()

    def test_processes_merge(self) -> None:
        rng = np.random.default_rng(0)
        ground_truth, predicted = rng.integers(0, 5, (2, 40, 30))
        whole, first, second = (ConfusionMatrix(5) for _ in range(3))
        whole.add(ground_truth, predicted)
        first.add(ground_truth[:7], predicted[:7])
        second.add(ground_truth[7:], predicted[7:])
        merged = ConfusionMatrix.from_state(first.state())
        merged.merge(second)
        assert np.array_equal(merged.counts, whole.counts)
        assert whole.counts[2, 3] == ((ground_truth == 2) & (predicted == 3)).sum()

    def test_outputs_come_to_the_size_of_the_ground_truth(self, tmp_path: Path) -> None:
        images = torch.zeros(2, 3, 8, 8)
        images[:, 0, :, 4:] = 1.0
        coarse = write_torchscript(tmp_path / "c.pt", lambda x: torch.nn.functional.avg_pool2d(x, 2)[:, :2].flip(1))
        labels = Segmenter(coarse, InputSpec(None), device=CPU, trust_torchscript=True)(images, size=(16, 8))
        assert labels.shape == (2, 16, 8)
        assert (labels[:, :, :3] == 0).all()
        assert (labels[:, :, 5:] == 1).all()
        ready = write_torchscript(tmp_path / "r.pt", lambda x: (x[:, 0, ::2, ::2] > 0).long() * 3)
        labels = Segmenter(ready, InputSpec(None), device=CPU, trust_torchscript=True)(images)
        assert labels.tolist() == [[[0] * 4 + [3] * 4] * 8] * 2

    def test_colours_may_be_near_if_one_allows_it(self) -> None:
        image = np.array([[(250, 3, 0), (0, 255, 9), (128, 128, 128)]], np.uint8)
        palette = np.array([RED, GREEN])
        with pytest.raises(DataError, match=r"the colour \(0, 255, 9\), which is not in the palette"):
            labels_from_colours(image, palette)
        assert labels_from_colours(image, palette, max_distance=60).tolist() == [[0, 1, IGNORED]]
        with pytest.raises(DataError, match="the same colour"):
            labels_from_colours(image, np.array([RED, RED]))

    def test_labels_must_be_classes(self) -> None:
        matrix = ConfusionMatrix(2)
        with pytest.raises(DataError, match="prediction holds labels from 0 to 2; expected 0 to 1"):
            matrix.add(np.array([0, 1]), np.array([0, 2]))
        with pytest.raises(DataError, match="no pixel was counted"):
            matrix.score()
        with pytest.raises(ConfigError, match="0 classes"):
            ConfusionMatrix(0)
