"""By which number the best checkpoint goes, which images are held out, and the section of the page."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report_html import check_page
from test_report_training import example_run

from tandem.config.run import RunConfig, from_flat
from tandem.data.image_file import DiskFile
from tandem.data.splits import Pair, PairedSplit, SingleImage, UnpairedSplit
from tandem.errors import DataError
from tandem.evaluation.held_out import held_out
from tandem.evaluation.metrics import STANDARD_METRICS
from tandem.evaluation.validation import deciding_numbers
from tandem.report.records import parse_record
from tandem.report.training_page import training_page
from tandem.training.resume import MAY_CHANGE_ON_RESUME
from tandem.training.validation import BestRule


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_competes(value: float | None) -> None:
    for better in ("lower", "higher"):
        assert BestRule("ssim", better).score({"ssim": value}) is None
        assert BestRule("ssim", better).score({"l1": 0.5}) is None


def test_the_score_is_lower_for_the_better_one() -> None:
    assert BestRule("l1", "lower").score({"l1": 0.2}) == 0.2
    assert BestRule("ssim", "higher").score({"ssim": 0.7}) == -0.7
    assert BestRule("ssim", "higher").outcome(3000, -0.42, 5, "validations") == (
        "step 3,000, ssim 0.42, the highest of 5 validations"
    )


def test_the_numbers_that_decide_come_in_the_order_of_what_they_say() -> None:
    names = {
        paired: [number.name for number in deciding_numbers(STANDARD_METRICS, paired=paired)]
        for paired in (True, False)
    }
    assert names == {
        True: ["label-iou", "frechet", "ssim-best", "ssim", "l1-best", "l1"],
        False: ["frechet", "cycle", "identity"],
    }
    cheap = {metric.name for metric in STANDARD_METRICS if metric.is_cheap}
    of_ensembles = {"crps", "energy-score", "spread-skill", "interval-coverage"}
    assert cheap == of_ensembles | {
        *("l1", "ssim", "l1-diversity", "frechet", "cycle", "identity", "contrast", "detail", "labels")
    }
    of_finished_models = {metric.name for metric in STANDARD_METRICS if not metric.numbers}
    assert of_finished_models == {
        *("calibrated-coverage", "flagged-fdr", "memorisation", "mode-coverage", "segmentation")
    }


def test_nothing_of_validation_changes_the_steps() -> None:
    assert set(vars(RunConfig().validation)) <= MAY_CHANGE_ON_RESUME
    assert from_flat({"validate_every": 5}).validation.validate_every == 5


def file(name: str) -> DiskFile:
    return DiskFile(Path(name))


def pairs(count: int, split: str = "val") -> PairedSplit:
    return PairedSplit(Path(), split, "folders", [Pair(f"{i}", file(f"a{i}"), file(f"b{i}")) for i in range(count)])


@given(count=st.integers(1, 300), most=st.integers(0, 60))
def test_inputs_are_spread_evenly(count: int, most: int) -> None:
    found = held_out({"val": pairs(count)}, most)
    places = list(found.places["AtoB"])
    assert found.num_all == count
    assert found.num_inputs == len(places) == (min(count, most) if most else count)
    assert places[0] == 0
    gaps = {after - before for before, after in itertools.pairwise(places)}
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)
    assert most == 1 or places[-1] == count - 1
    assert isinstance(found.folder, PairedSplit)
    assert [pair.name for pair in found.folder.pairs] == [str(place) for place in places]


def test_val_is_taken_before_test_and_train_never() -> None:
    assert held_out({"train": pairs(9), "test": pairs(3), "val": pairs(2)}, 0).num_all == 2
    assert held_out({"train": pairs(9), "test": pairs(3, "test")}, 0).folder.name == "test"
    with pytest.raises(DataError, match="neither a split val nor test"):
        held_out({"train": pairs(9)}, 0)


def test_domains_are_taken_apart_unless_their_names_are_the_same() -> None:
    a, b = ([SingleImage(f"{side}{i}", file(f"{side}{i}")) for i in range(n)] for side, n in (("a", 9), ("b", 5)))
    found = held_out({"val": UnpairedSplit(Path(), "val", "folders", a, b)}, 3)
    assert {way: list(places) for way, places in found.places.items()} == {"AtoB": [0, 4, 8], "BtoA": [0, 2, 4]}
    assert found.num_inputs == 3
    halves = [[SingleImage(f"{i}", file(f"{i}"), half) for i in range(4)] for half in ("left", "right")]
    paired = held_out({"val": UnpairedSplit(Path(), "val", "side_by_side", *halves)}, 0).folder
    assert isinstance(paired, PairedSplit)
    assert paired.pairs[1] == Pair("1", file("1"), None)


def validation_record(step: int, **more: object) -> dict:
    conditions = {"split": "val", "inputs": 6, "samples": 3}
    numbers = {"ssim": 0.1 * step, "ssim-best": 0.2 * step, "frechet": None}
    speed = {"seconds": 1.25, "share": 0.013}
    place = {"kind": "validation", "step": step, "images": 4 * step}
    return place | {"numbers": numbers, "conditions": conditions, "speed": speed} | more


def test_the_page_shows_validations_over_steps(tmp_path: Path) -> None:
    run = example_run(tmp_path)
    validations = [parse_record(validation_record(step)) for step in (1, 2, 3)]
    with_them = replace(run, records=[*run.records, *validations], best="Best: step 3 <of 3>.")
    text = check_page(training_page(with_them), tmp_path).text
    for expected in ("Validation", "6 inputs of the split val, 3 samples each", "Best: step 3 <of 3>.", "ssim-best"):
        assert expected in text
    assert "The latest took 1.25 s; validation takes 1.3 % of the time." in text
    assert "Validation" not in check_page(training_page(run), tmp_path).text


@pytest.mark.parametrize(
    "broken",
    [{"numbers": None}, {"numbers": {"x": "y"}}, {"conditions": 3}, {"speed": []}, {"speed": {"seconds": "x"}}],
)
def test_records_of_strangers_do_not_break_the_page(tmp_path: Path, broken: dict) -> None:
    run = example_run(tmp_path)
    records = [parse_record(record) for record in (validation_record(1), validation_record(2, **broken))]
    check_page(training_page(replace(run, records=records)), tmp_path)


def test_much_time_is_a_warning(tmp_path: Path) -> None:
    run = example_run(tmp_path)
    records = [parse_record(validation_record(1, speed={"seconds": 2.0, "share": 0.2}))]
    text = check_page(training_page(replace(run, records=records)), tmp_path).text
    assert "A larger --validate-every, or fewer --validate-images" in text


def test_a_checkpoint_without_contrast_does_not_compete() -> None:
    rule = BestRule("ssim", "higher", "some", least={"contrast": 0.5, "detail": 0.25})
    assert rule.score({"ssim": 0.4, "contrast": 0.5, "detail": 0.25}) == -0.4
    assert rule.score({"ssim": 0.9, "contrast": 0.49, "detail": 0.25}) is None
    assert rule.shortfall({"ssim": 0.9, "contrast": 0.1, "detail": 0.2}) == (
        "contrast 0.1, less than 0.5 and detail 0.2, less than 0.25"
    )
    assert rule.score({"ssim": 0.4, "contrast": None}) == -0.4  # real images of one colour give no scale
    assert rule.key != BestRule("ssim", "higher", "some").key
    assert "among those with contrast of at least 0.5 and detail of at least 0.25" in rule.announce()
