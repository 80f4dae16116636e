"""The contract of metrics: what a set refuses, examples in docstrings, and a new metric from one class alone."""

import doctest
import importlib
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import tandem
from tandem.data.synthetic import write_dataset
from tandem.errors import ConfigError, MetricError
from tandem.evaluation import metrics
from tandem.evaluation.folder import read_reports, write_evaluation
from tandem.evaluation.kinds.paired import PairedMetric, unit_pair
from tandem.evaluation.metric import Metric, MetricSet, Number, Ranking
from tandem.evaluation.metrics import STANDARD_METRICS
from tandem.evaluation.metrics.cycle import Cycle
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.run import evaluate
from tandem.evaluation.subject import folder_subject, model_subject
from tandem.evaluation.validation import deciding_numbers
from tandem.report.scores import MetricResult

CPU = torch.device("cpu")
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.iter_modules(metrics.__path__, "tandem.evaluation.metrics.")
]


class RMSE(PairedMetric):
    """Root mean squared error to the ground truth, on the scale 0..1."""

    name: ClassVar = "rmse"
    title: ClassVar = "RMSE to the ground truth"
    numbers: ClassVar = (
        Number("rmse", "lower", decides_paired=15),
        Number("rmse-best", "lower", of_several=True, decides_paired=25),
    )
    is_cheap: ClassVar = True
    ranking: ClassVar = Ranking("quality", 50)

    @staticmethod
    def between(a: Tensor, b: Tensor) -> Tensor:
        """The metric itself: the four lines that are new."""
        x, y = unit_pair(a, b)
        return (x - y).square().mean((1, 2, 3)).sqrt()


KNOWN = STANDARD_METRICS.plus(RMSE)


def write_image(path: Path, size: tuple[int, int], seed: int) -> np.ndarray:
    """A random image of height and width `size`."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def write_folders(folder: Path, *sizes: tuple[int, int], other: tuple[int, int] | None = None) -> tuple[Path, Path]:
    """Folders of real and of generated images of these sizes; the last generated one may have another size."""
    for index, size in enumerate(sizes):
        write_image(folder / "real" / f"{index}.png", size, index)
        last = other is not None and index == len(sizes) - 1
        write_image(folder / "made" / f"{index}.png", other if last and other else size, 100 + index)
    return folder / "real", folder / "made"


def scores_of(found: list) -> dict[str, float]:
    return {score.name: score.value for report in found for score in report.scores}


class TestANewMetric:
    def test_one_class_goes_through_the_whole_evaluation(self, tmp_path: Path) -> None:
        real, made = (
            np.stack([write_image(tmp_path / side / f"{i}.png", (20, 24), 10 * i + n) for i in range(6)]) / 255
            for n, side in enumerate(("real", "made"))
        )
        subject = folder_subject(tmp_path / "real", tmp_path / "made")
        evaluation = evaluate(subject, EvaluationOptions(), device=CPU, known=KNOWN)
        page = write_evaluation([(evaluation, subject)], tmp_path / "out")
        expected = np.sqrt(np.square(made - real).mean(axis=(1, 2, 3)))
        report = read_reports(tmp_path / "out")[0]
        assert scores_of([report])["rmse"] == pytest.approx(expected.mean(), rel=1e-12)
        assert report.per_input["rmse"] == pytest.approx(expected.tolist(), rel=1e-12)
        result = next(one for one in report.results if one.metric == "rmse")
        assert result.title == "RMSE to the ground truth"
        assert result.scores[0].better == "lower"
        assert result.scores[0].low is not None
        assert next(iter(evaluation.ranking)) == "Best inputs, by rmse"
        assert evaluation.ranking["Worst inputs, by rmse"][0] == int(expected.argmax())
        text = page.read_text(encoding="utf-8")
        assert "rmse" in text
        assert "RMSE to the ground truth" in text

    def test_several_samples_of_a_model_have_a_best_one(self, make_bundle: Callable[..., Path], tmp_path: Path) -> None:
        bundle, data = (
            make_bundle(size=(32, 32)),
            write_dataset(tmp_path / "d", size=32, num_train=1, num_val=1, num_test=3),
        )
        options = EvaluationOptions(metrics=KNOWN.parse("rmse, l1"), num_samples=3)
        subject = model_subject(tandem.load(bundle, device="cpu"), bundle, data, options)
        found = scores_of([evaluate(subject, options, device=CPU, known=KNOWN).report])
        assert found.keys() == {"l1", "l1-best", "rmse", "rmse-best"}
        assert found["l1"] < found["rmse"]
        assert found["rmse-best"] < found["rmse"]

    def test_its_numbers_may_decide_about_the_best_checkpoint(self) -> None:
        names = [number.name for number in deciding_numbers(KNOWN, paired=True)]
        assert names == ["label-iou", "frechet", "ssim-best", "ssim", "rmse-best", "l1-best", "rmse", "l1"]

    def test_the_set_that_comes_with_tandem_does_not_know_it(self) -> None:
        with pytest.raises(ConfigError, match=r"--metrics: there is no metric 'rmse'\. .*They are fid, kid"):
            STANDARD_METRICS.parse("rmse")
        assert KNOWN.parse("rmse,l1,rmse") == ("l1", "rmse")


class TestTheContract:
    def test_a_forgotten_entry_is_refused_before_anything_is_measured(self) -> None:
        class Untold(PairedMetric):
            name: ClassVar = "untold"

        class Unmade(Metric):
            name: ClassVar = "unmade"
            title: ClassVar = "Unmade"
            numbers: ClassVar = (Number("unmade", "lower"),)

        class Misnamed(RMSE):
            name: ClassVar = "R M S E"

        class Silent(Cycle):
            name: ClassVar = "silent"
            numbers: ClassVar = ()

        with pytest.raises(TypeError, match="Untold has no title, numbers"):
            STANDARD_METRICS.plus(Untold)
        with pytest.raises(TypeError, match="Unmade lacks the methods summarise"):
            STANDARD_METRICS.plus(Unmade)
        with pytest.raises(TypeError, match="Misnamed: 'R M S E' is no name"):
            STANDARD_METRICS.plus(Misnamed)
        with pytest.raises(TypeError, match="Silent is cheap but has no numbers"):
            STANDARD_METRICS.plus(Silent)

    def test_names_are_unique(self) -> None:
        class Other(RMSE):
            name: ClassVar = "other"

        with pytest.raises(TypeError, match="two metrics are called 'rmse'"):
            KNOWN.plus(RMSE)
        with pytest.raises(TypeError, match="two metrics give a number 'rmse'"):
            KNOWN.plus(Other)
        assert len({metric.name for metric in STANDARD_METRICS}) == len(list(STANDARD_METRICS)) == 31

    @pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
    def test_examples_in_docstrings_are_true(self, module: ModuleType) -> None:
        found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
        assert found.failed == 0

    def test_every_function_of_a_metric_has_an_example(self) -> None:
        functions = {getattr(metrics, name) for name in metrics.__all__ if callable(getattr(metrics, name))}
        of_values = {one for one in functions if one.__name__ not in {"measure_coverage", "image_round_trip"}}
        assert [one.__name__ for one in of_values if ">>>" not in one.__doc__] == []
        assert all("Returns" in one.__doc__ or "Args" in one.__doc__ for one in functions)


class TestNeeds:
    """They are asked of every image before anything is measured, whichever comes first."""

    @pytest.mark.parametrize("sizes", [((180, 180), (170, 170)), ((170, 170), (180, 180))])
    def test_the_smallest_side(self, tmp_path: Path, sizes: tuple[tuple[int, int], ...]) -> None:
        subject = folder_subject(*write_folders(tmp_path, *sizes))
        report = evaluate(subject, EvaluationOptions(), device=CPU).report
        assert {"l1", "psnr", "ssim"} <= scores_of([report]).keys()
        reason = {one.metric: one.reason for one in report.left_out}["ms-ssim"]
        small = sizes.index((170, 170))
        assert reason == (
            "it needs sides of at least 176 px, which 1 of 2 images do not have; the first of them is "
            f"{small} (170 x 170 px)"
        )
        with pytest.raises(MetricError, match="--metrics ms-ssim: it needs sides of at least 176 px") as caught:
            evaluate(subject, EvaluationOptions(metrics=("l1", "ms-ssim")), device=CPU)
        assert (caught.value.metric, caught.value.reason) == ("ms-ssim", reason)

    def test_a_ground_truth_of_the_same_size(self, tmp_path: Path) -> None:
        subject = folder_subject(*write_folders(tmp_path, (32, 40), (32, 40), (32, 40), other=(32, 30)))
        assert subject.data["paired"] is False
        with pytest.raises(MetricError, match=r"1 of 3 do not have; the first of them is 2 \(30 x 32 px") as caught:
            evaluate(subject, EvaluationOptions(metrics=("l1",)), device=CPU)
        assert caught.value.reason.endswith("its ground truth 40 x 32 px)")

    def test_a_model_is_asked_too_and_nothing_is_sampled(
        self, make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Side by side, a folder each, and an image of a domain: the sides are those of the input."""
        bundle = make_bundle(size=(32, 32))
        for index, height in enumerate((32, 9)):
            write_image(tmp_path / "pairs" / "test" / f"{index}.png", (height, 64), index)
            for side in "ab":
                write_image(tmp_path / "two" / f"test{side.upper()}" / f"{index}.png", (32, 9 if index else 32), index)
                name = f"{side}{index}.png"
                write_image(tmp_path / "domains" / f"test{side.upper()}" / name, (9 if index else 32, 32), index)
        translator = tandem.load(bundle, device="cpu")
        monkeypatch.setattr(type(translator), "__call__", lambda *_, **__: pytest.fail("sampled"))
        for data, metric in (("pairs", "ssim"), ("two", "ssim"), ("pairs", "ms-ssim")):
            options = EvaluationOptions(metrics=(metric,), num_samples=2)
            subject = model_subject(translator, bundle, tmp_path / data, options)
            with pytest.raises(MetricError, match=f"--metrics {metric}: it needs sides of at least"):
                evaluate(subject, options, device=CPU)
        subject = model_subject(translator, bundle, tmp_path / "domains", EvaluationOptions())
        assert subject.sizes == [(32, 32), (9, 32)]
        assert subject.ground_truth_sizes == [None, None]


def test_a_set_of_ones_own_is_enough(tmp_path: Path) -> None:
    real, made = write_folders(tmp_path, (16, 16), (16, 16))
    subject = folder_subject(real, made)
    found = evaluate(subject, EvaluationOptions(), device=CPU, known=MetricSet((RMSE,)))
    assert [result.metric for result in found.report.results] == ["rmse"]
    assert found.report.left_out == ()
    assert isinstance(found.report.results[0], MetricResult)
    json.dumps(found.report.per_input, allow_nan=False)
