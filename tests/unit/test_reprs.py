"""What objects that people meet at a prompt say they are: a line each, however much they hold."""

from pathlib import Path

from tandem.data.augment import TrainTransform
from tandem.data.datasets import PairedDataset
from tandem.data.discover import find_splits
from tandem.data.splits import PairedSplit
from tandem.data.synthetic import write_dataset
from tandem.data.unpaired import find_unpaired
from tandem.report.scores import EvaluationReport, LeftOutMetric, MetricResult, Score


def test_splits_and_datasets(tmp_path: Path) -> None:
    split = find_splits(write_dataset(tmp_path / "pairs", size=16, num_train=4, num_val=1, num_test=1))["train"]
    assert repr(split) == f"<PairedSplit: {split.describe()}>"
    assert isinstance(split, PairedSplit)
    assert "4 pairs" in repr(split)
    transform = TrainTransform((16, 16), flip=True)
    dataset = PairedDataset(split, transform=transform, direction="AtoB", channels_a=3, channels_b=3, seed=0)
    assert repr(dataset) == f"<PairedDataset: 4 samples an epoch, read each time; {transform}>"
    domains = tmp_path / "domains"
    write_dataset(domains, size=16, num_train=4, num_val=1, num_test=1, layout="unpaired")
    assert repr(find_unpaired(domains)["test"]).startswith("<UnpairedSplit: ")


def test_reports() -> None:
    scores = (
        Score(name="l1", value=0.25, better="lower", count=3),
        Score(name="ssim", value=0.5, better="higher", count=3),
    )
    report = EvaluationReport(
        versions={},
        subject={"direction": "BtoA"},
        data={"names": ["x"] * 1000},
        settings={},
        results=(MetricResult(metric="l1", title="L1", scores=scores),),
        left_out=(LeftOutMetric(metric="lpips", reason="no weights"),),
    )
    assert repr(report) == "<EvaluationReport B → A: l1 0.25, ssim 0.5; left out: lpips>"
