"""The calibration in a bundle: whole or not there, of these weights alone, and within bounds."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_spread import calibration_of

from tandem.checkpoint import bundle as bundle_module
from tandem.checkpoint.bundle import load_bundle, save_bundle, save_calibration
from tandem.checkpoint.manifest import MANIFEST_NAME, read_manifest
from tandem.errors import BundleError

MakeBundle = Callable[..., Path]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_read_as_it_was_written(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    before = files_of(folder)
    assert read_manifest(folder)[0].calibration is None
    made = calibration_of(folder, threshold=None)
    assert save_calibration(folder, made) == folder
    after = files_of(folder)
    assert read_manifest(folder)[0].calibration == made
    assert {name for name in after if after[name] != before[name]} == {MANIFEST_NAME}
    assert after.keys() == before.keys()
    again = calibration_of(folder, scale=2.5)
    save_calibration(folder / MANIFEST_NAME, again)
    assert read_manifest(folder)[0].calibration == again


def test_a_bundle_of_an_older_version_has_none(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    values = json.loads((folder / MANIFEST_NAME).read_text())
    del values["calibration"]
    (folder / MANIFEST_NAME).write_text(json.dumps(values))
    assert read_manifest(folder)[0].calibration is None


def test_a_copy_leaves_the_model_alone(make_bundle: MakeBundle, tmp_path: Path) -> None:
    folder, out = make_bundle(), tmp_path / "deep" / "copy"
    before = files_of(folder)
    out.mkdir(parents=True)
    (out / "weights-0123456789abcdef.safetensors").write_bytes(b"of an earlier model")
    made = calibration_of(folder)
    assert save_calibration(folder, made, out) == out
    assert files_of(folder) == before
    assert files_of(out).keys() == before.keys()
    manifest, networks = load_bundle(out)
    assert manifest.calibration == made
    for key, value in load_bundle(folder)[1]["generator"].state_dict().items():
        assert torch.equal(networks["generator"].state_dict()[key], value)


def test_other_weights_do_not_inherit_it(make_bundle: MakeBundle, tmp_path: Path) -> None:
    folder = make_bundle()
    save_calibration(folder, calibration_of(folder))
    manifest, networks = load_bundle(folder)
    save_bundle(tmp_path / "same", dataclasses.replace(manifest, weights=None), networks)
    assert read_manifest(tmp_path / "same")[0].calibration == manifest.calibration
    with torch.no_grad():
        next(networks["generator"].parameters()).fill_(0.5)
    save_bundle(folder, manifest, networks)
    assert read_manifest(folder)[0].calibration is None


def test_a_model_that_was_renewed_meanwhile_is_left_alone(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    made = calibration_of(folder)
    manifest, networks = load_bundle(folder)
    with torch.no_grad():
        next(networks["generator"].parameters()).fill_(0.5)
    save_bundle(folder, manifest, networks)
    before = files_of(folder)
    with pytest.raises(BundleError, match="was renewed meanwhile"):
        save_calibration(folder, made)
    assert files_of(folder) == before


@pytest.mark.parametrize("name", ["atomic_write_text", "atomic_replace"])
def test_a_crash_leaves_what_was_there(
    make_bundle: MakeBundle, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = make_bundle(), tmp_path / "copy"
    save_calibration(folder, calibration_of(folder), out)
    before, copied = files_of(folder), files_of(out)

    def crash(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(bundle_module, name, crash)
    with pytest.raises(OSError, match="no space"):
        save_calibration(folder, calibration_of(folder, scale=9.0), out)
    if name == "atomic_write_text":
        with pytest.raises(OSError, match="no space"):
            save_calibration(folder, calibration_of(folder, scale=9.0))
    assert (files_of(folder), files_of(out)) == (before, copied)


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"level": 1.0}, "level must be above 0 and below 1, not 1.0"),
    ({"level": 0}, "level must be above 0 and below 1"),
    ({"level": float("nan")}, "calibration.level"),
    ({"scale": 0.0}, "scale must be above 0 and at most 256, not 0.0"),
    ({"scale": 1e300}, "scale must be above 0 and at most 256"),
    ({"scale": float("inf")}, "calibration.scale"),
    ({"scale": "2"}, "calibration.scale must be float, not '2'"),
    ({"num_samples": 10**9}, "num_samples must be from 2 to 1000, not 1000000000"),
    ({"num_samples": 1}, "num_samples must be from 2 to 1000, not 1"),
    ({"num_samples": 10**40}, "num_samples must be at most"),
    ({"num_images": 0}, "num_images must be at least 1, not 0"),
    ({"seed": 1.5}, "calibration.seed must be int, not 1.5"),
    ({"fit": "stretch"}, "fit must be one of auto, "),
    ({"direction": "CtoD"}, "direction must be one of AtoB, BtoA"),
    ({"tolerance": -1.0}, "tolerance must be above 0 and below 1"),
    ({"fdr": 2.0}, "fdr must be above 0 and below 1"),
    ({"threshold": -0.1}, "threshold must be from 0 to 256, not -0.1"),
    ({"threshold": True}, "calibration.threshold"),
    ({"date": "yesterday"}, "date must be YYYY-MM-DD, not 'yesterday'"),
    ({"date": "2026-01-01\n"}, "date must be YYYY-MM-DD"),
    ({"date": "9" * 100_000}, "calibration.date"),
    ({"data_sha256": "G" * 64}, "data_sha256 must be 64 hexadecimal digits"),
    ({"weights_sha256": "ab"}, "weights_sha256 must be 64 hexadecimal digits"),
    ({"weights_sha256": "0" * 64}, "has a calibration of other weights"),
    ({"surprise": 1}, "calibration has unknown entries: surprise"),
]


@pytest.mark.parametrize(("change", "says"), HOSTILE)
def test_hostile_calibrations_are_refused(make_bundle: MakeBundle, change: dict[str, Any], says: str) -> None:
    folder = make_bundle()
    save_calibration(folder, calibration_of(folder))
    values = json.loads((folder / MANIFEST_NAME).read_text())
    values["calibration"] |= change
    (folder / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(BundleError, match=says) as caught:
        read_manifest(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("given", [[], 5, "yes", {}])
def test_what_is_no_calibration_is_refused(make_bundle: MakeBundle, given: object) -> None:
    folder = make_bundle()
    values = json.loads((folder / MANIFEST_NAME).read_text()) | {"calibration": given}
    (folder / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(BundleError, match="calibration"):
        read_manifest(folder)
