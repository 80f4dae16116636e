"""From scenes of six bands and 16 bits to a GeoTIFF and a NIfTI, whose metadata other libraries read back."""

from pathlib import Path

import nibabel as nib
import numpy as np
import rasterio

import tandem
from tandem.cli import main

SIX = {"input_channels": 6, "output_channels": 6, "range_a": "0,4000", "range_b": "0,4000"}


def test_from_preparing_to_files_with_their_place(tmp_path: Path) -> None:
    scenes, pairs, run = tmp_path / "scenes", tmp_path / "pairs", tmp_path / "run"
    sizes = ("--height", "32", "--width", "48", "--num-train", "6", "--num-val", "1", "--num-test", "1")
    assert main(["data", "shallows", str(scenes), *sizes]) == 0
    rule = ("--rule", "lowres", "--factor", "4", "--native", "--val-split", "0", "--test-split", "0")
    assert main(["data", "prepare", str(scenes / "trainB"), "--to", str(pairs), *rule]) == 0
    small = {
        "size": "32x48",
        "generator_filters": 4,
        "generator_depth": 3,
        "dropout": False,
        "discriminator_filters": 4,
    }
    tandem.train(pairs, run, method="pix2pix", quiet=True, steps=2, snapshot_every=2, device="cpu", **SIX, **small)

    scene = scenes / "testB" / "00001.tif"
    assert main(["sample", str(run), str(scene), "--out", str(tmp_path / "out.tif")]) == 0
    with rasterio.open(scene) as before, rasterio.open(tmp_path / "out.tif") as after:
        assert (after.crs, after.transform, after.shape) == (before.crs, before.transform, before.shape)
        assert (after.count, set(after.dtypes)) == (6, {"uint16"})
        values = after.read()
    assert 256 < values.max() <= 4000  # more than 8 bits, and no more than the range

    affine = np.array([[0, -2, 0, 10], [2, 0, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]], float)
    bands = np.stack([tandem.read_image(scene)] * 2)  # (z, y, x, band)
    volume = nib.Nifti1Image(np.moveaxis(bands, (2, 1, 0, 3), (0, 1, 2, 3))[:, :, :, None], affine)  # type: ignore[arg-type]
    (tmp_path / "volumes").mkdir()
    nib.save(volume, tmp_path / "volumes" / "bay.nii.gz")
    how = ("--out", str(tmp_path / "slices"), "--only", "outputs", "--format", "nii.gz")
    assert main(["sample", str(run), str(tmp_path / "volumes"), *how]) == 0
    slices = sorted((tmp_path / "slices").rglob("*.nii.gz"))
    assert len(slices) == 2
    for number, path in enumerate(slices):
        image = nib.load(path)
        assert np.asarray(image.dataobj).dtype == np.uint16  # type: ignore[attr-defined]
        np.testing.assert_allclose(image.affine[:, :3], affine[:, :3])  # type: ignore[attr-defined]
        np.testing.assert_allclose(image.affine[:3, 3], affine[:3] @ [0, 0, number, 1])  # type: ignore[attr-defined]
