"""Lines of the log as they have been written all along: what they are read as, and that they are written unchanged."""

import json
import math
from pathlib import Path

import pytest

from tandem.report.records import (
    ForeignRecord,
    HealthRecord,
    LatentHealth,
    TrainRecord,
    TranslationHealth,
    ValidationRecord,
    parse_record,
    read_metrics,
)

STORED = {
    "train": (
        '{"kind": "train", "step": 1, "images": 2, "epoch": 1.0, "losses": {"latent": 0.18840496242046356, '
        '"gan_encoded": 1.999988079071045, "gan_random": 1.9999899864196777, "l1": 8.706459999084473, "kl": '
        '2.98023217215615e-10, "disc_encoded": 1.9999215602874756, "disc_random": 1.9986953735351562}, '
        '"learning_rate": 0.0002, "speed": {"images_per_second": null, "memory_mb": 347.2265625, '
        '"world_size": 1, "waiting": null}}'
    ),
    "latent health": (
        '{"kind": "health", "step": 2, "images": 4, "split": "val", "diversity": 0.0025101497303694487, "real_spread": '
        '0.2577627144607843, "diversity_ratio": 0.00973821887164887, "kl_per_dimension": '
        '[1.1920928955078125e-07, 8.940696716308594e-08], "recovered_z_error": 0.7872310876846313, '
        '"recovered_z_chance": 0.7978845608028654, "fixed_l1": 0.8176372051239014, "verdict": "z is being '
        "ignored: samples of one input differ by only 1.0 % of the distance between real images. Early in "
        'training that is normal; if it stays so, raise --lambda-z or lower --lambda-kl and --lambda-l1.", '
        '"level": "warning", "final": true}'
    ),
    "latent health without an encoder": (
        '{"kind": "health", "step": 1, "images": 1, "split": "val", "diversity": 0.00797378271818161, "real_spread": '
        '0.31133754717164647, "diversity_ratio": 0.025611375147712293, "kl_per_dimension": [], '
        '"recovered_z_error": null, "recovered_z_chance": 0.7978845608028654, "fixed_l1": 0.8307293653488159, '
        '"verdict": "Dropout is the only noise: samples of one input differ by 2.6 % of the distance between '
        'real images.", "level": "info"}'
    ),
    "latents of training images": (
        '{"kind": "health", "step": 9, "images": 18, "split": "val", "diversity": 0.1, "real_spread": 0.5, '
        '"diversity_ratio": 0.2, "kl_per_dimension": [1.5], "recovered_z_error": 0.2, "recovered_z_chance": '
        '0.7978845608028654, "fixed_l1": 0.2, "verdict": "z is used.", "level": "info", "latents": {"prior": '
        '"N(0, I)", "distance": 9.125, "active": 1, "images": 500}}'
    ),
    "both ways": (
        '{"kind": "health", "step": 4, "images": 4, "split": "val", "cycle_a": 0.8489915132522583, "cycle_b": '
        '0.8083230257034302, "change_a": 0.8663427829742432, "change_b": 0.7949485778808594, "verdict": '
        '"There and back, A comes out 0.849 from where it started and B 0.808 (L1, at most 2).", "level": '
        '"info"}'
    ),
    "one way": (
        '{"kind": "health", "step": 10, "images": 10, "split": "val", "change_a": 0.823294997215271, "identity_b": '
        '0.8904219269752502, "verdict": "There are no pairs and no way back, so no number says how good the '
        'translation is: look at it.", "level": "info", "final": true}'
    ),
    "validation": (
        '{"kind": "validation", "step": 10, "images": 20, "numbers": {"l1": 0.40093670570079887, "l1-best": '
        '0.4001919083605665, "frechet": null}, "conditions": {"split": "val", "inputs": 3, "samples": 3, '
        '"seed": 0, "fit": "resize", "data": "1c8af5a3246c31d4", "features": "3e7bbf261ab004aa"}, "speed": '
        '{"seconds": 0.46887204199992993, "share": 0.1986180455397919}, "final": true}'
    ),
}
"""Lines of runs from before there were records, but for some entries that were cut out of long lists."""
KINDS = {
    "train": TrainRecord,
    "latent health": HealthRecord,
    "latent health without an encoder": HealthRecord,
    "latents of training images": HealthRecord,
    "both ways": HealthRecord,
    "one way": HealthRecord,
    "validation": ValidationRecord,
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_line_is_read_and_written_as_it_was(name: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(STORED[name] + "\n")
    (record,) = read_metrics(path)
    assert type(record) is KINDS[name]
    assert json.dumps(record.as_json()) == STORED[name]
    assert record.step == json.loads(STORED[name])["step"]
    assert record.final == ("final" in json.loads(STORED[name]))


def test_what_the_lines_say() -> None:
    latent, both, one = (parse_record(json.loads(STORED[name])) for name in ("latent health", "both ways", "one way"))
    assert isinstance(latent, HealthRecord)
    assert isinstance(both, HealthRecord)
    assert isinstance(one, HealthRecord)
    assert isinstance(latent.measured, LatentHealth)
    assert latent.measured.kl_per_dimension == (1.1920928955078125e-07, 8.940696716308594e-08)
    assert isinstance(both.measured, TranslationHealth)
    assert (both.measured.cycle_b, both.measured.identity_b) == (0.8083230257034302, None)
    assert isinstance(one.measured, TranslationHealth)
    assert (one.measured.cycle_a, one.measured.change_a) == (None, 0.823294997215271)
    assert one.measured.identity_b == 0.8904219269752502


def test_numbers_that_are_not_finite_are_kept() -> None:
    """A KL may overflow where all images are finite still."""
    content = json.loads(STORED["latent health"]) | {"kl_per_dimension": [math.inf, 0.5]}
    record = parse_record(content)
    assert isinstance(record, HealthRecord)
    assert json.dumps(record.as_json()) == json.dumps(content)


@pytest.mark.parametrize(
    "change", [{"kind": "something else"}, {"step": "2"}, {"losses": {"l1": None}}, {"note": "of another version"}]
)
def test_other_lines_are_kept_and_are_none_of_the_kinds(change: dict[str, object]) -> None:
    content = json.loads(STORED["train"]) | change
    record = parse_record(content)
    assert type(record) is ForeignRecord
    assert json.dumps(record.as_json()) == json.dumps(content)
    assert record.step == (0 if "step" in change else 1)
