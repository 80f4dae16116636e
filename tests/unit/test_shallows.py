"""Scenes of shallow water: against the physics computed by hand, and their files read by rasterio."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

import tandem
from tandem.cli import main
from tandem.data.synthetic.shallows import (
    BANDS_NM,
    DEEPEST,
    SCALE,
    WATERS,
    classify_water,
    draw_shallows,
    reflectance,
    water_of,
)
from tandem.errors import ConfigError, DataError


def test_reflectance_is_that_of_the_equation() -> None:
    """Green water 3 m deep at 560 nm, term by term."""
    absorbed = 0.062 + 0.12 * math.exp(-0.015 * 120)
    scattered = 0.012 * 550 / 560
    deep, sand = 0.33 * scattered / (absorbed + scattered), 0.18 + 0.18 * 117 / 262
    expected = deep * (1 - math.exp(-6 * (absorbed + scattered))) + sand * math.exp(-6 * (absorbed + scattered))
    assert reflectance(np.full((1, 1, 1), 3.0), 1)[0, 0, BANDS_NM.index(560)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("water", range(len(WATERS)))
def test_light_fades_exponentially_from_the_sand_to_the_deep(water: int) -> None:
    depth = np.array([0.0, 1.0, 2.0, 3.0, 1e4])[:, None, None]
    seen = reflectance(depth, water)[:, 0]
    np.testing.assert_allclose(seen[0], reflectance(np.zeros((1, 1, 1)), 0)[0, 0])  # without water all are one beach
    ratios = (seen[1:4] - seen[4]) / (seen[:3] - seen[4])
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[0], ratios.shape), rtol=1e-9)
    assert ((ratios > 0) & (ratios < 1)).all()


def test_a_scene_is_explained_by_its_water_alone() -> None:
    """Every depth has four right answers, and each is told from the others by much more than the noise."""
    for index in range(12):
        for water in range(len(WATERS)):
            scene = draw_shallows(index, height=32, width=48, water=water)
            found, error = classify_water(scene.depth, scene.spectra)
            assert found == water
            assert error == pytest.approx(5 / SCALE, rel=0.1)
            others = [
                np.abs(reflectance(scene.depth, water) - reflectance(scene.depth, one)).mean() for one in range(4)
            ]
            assert sorted(others)[1] > 5 * error
            assert 0 <= scene.depth.min() < scene.depth.max() <= DEEPEST


def test_waters_are_drawn_with_their_probabilities() -> None:
    counts = Counter(water_of(index) for index in range(2000))
    for index, water in enumerate(WATERS):
        assert counts[index] / 2000 == pytest.approx(water.weight, abs=4 * math.sqrt(water.weight / 2000))


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="sides from 16 to 2048"):
        draw_shallows(0, height=8)
    with pytest.raises(ConfigError, match="expected 0 to 3"):
        draw_shallows(0, water=4)
    with pytest.raises(DataError, match="depth"):
        classify_water(np.zeros((4, 4, 1)), np.zeros((4, 4, 3)))


def test_files_are_geotiffs_and_continue(tmp_path: Path) -> None:
    out = tmp_path / "shallows"
    command = ["data", "shallows", str(out), "--num-val", "0", "--height", "20", "--width", "30"]
    assert main([*command, "--num-train", "2", "--num-test", "1"]) == 0
    first = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.tif")}
    assert sorted(first) == [f"{folder}/0000{n}.tif" for folder, n in (("testA", 1), ("testB", 1))] + [
        f"train{side}/0000{number}.tif" for side in "AB" for number in (1, 2)
    ]
    scene = draw_shallows(1, height=20, width=30)
    np.testing.assert_array_equal(tandem.read_image(out / "trainA" / "00002.tif"), scene.depth)
    with rasterio.open(out / "trainB" / "00002.tif") as file:
        np.testing.assert_array_equal(file.read(), np.moveaxis(scene.spectra, 2, 0))
        assert file.crs.to_epsg() == 32631
        assert file.transform == Affine(2, 0, 200_600, 0, -2, 5_000_000)
    known = json.loads((out / "shallows.json").read_text())["files"]
    assert known["train/00002"] == WATERS[scene.water].name

    (out / "trainB" / "00001.tif").unlink()
    (out / "shallows.json").unlink()
    assert main([*command, "--num-train", "3", "--num-test", "1"]) == 0  # goes on, and grows
    now = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.tif")}
    assert {name: now[name] for name in first} == first
    assert len(now) == len(first) + 2
    assert main([*command, "--seed", "1"]) == 1
