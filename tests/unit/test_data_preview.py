"""The contact sheet shows what a run with the same options gets, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tandem.cli import main
from tandem.commands.data_preview import PreviewOptions, Seen, draw, samples
from tandem.config.run import from_flat
from tandem.data.synthetic import write_dataset
from tandem.training.inputs import open_inputs


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("side_by_side", {"method": "bicyclegan", "size": 32, "load_size": 40}),
        ("side_by_side", {"method": "tandem", "size": 32, "direction": "BtoA", "flip": False, "range_b": "0,100"}),
        ("unpaired", {"method": "cyclegan", "size": 32, "preprocess": "crop"}),
    ],
)
def test_rows_are_the_samples_of_a_run(layout: str, options: dict[str, object], tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", size=48, num_train=5, num_val=1, num_test=1, layout=layout)  # type: ignore[arg-type]
    config = from_flat(options)
    run = open_inputs(config, tmp_path / "data", cache=tmp_path / "cache")
    own = PreviewOptions(data=str(tmp_path / "data"), number=3, draws=3)
    rows = list(samples(config, tmp_path / "data", own, cache=tmp_path / "cache"))
    assert len(rows) == 3
    for position, row in enumerate(rows):
        expected = run.train[position]
        assert row.name == expected["name"]
        np.testing.assert_array_equal(row.draws[0][0], expected["a"].numpy())
        np.testing.assert_array_equal(row.draws[0][1], expected["b"].numpy())
        # In later epochs the same input comes, at its place in the run.
        for epoch, (a, _) in enumerate(row.draws[1:], 1):
            of_epoch = [run.train[epoch * len(run.train) + offset] for offset in range(len(run.train))]
            same = [one for one in of_epoch if one["name"].split(" | ")[0] == row.name.split(" | ")[0]]
            assert any(np.array_equal(a, one["a"].numpy()) for one in same)


def test_the_sheet_as_a_picture_and_as_a_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    for index in range(2):
        pair = np.zeros((16, 32, 3), np.uint8)
        pair[:, :16] = (255, 0, 0)
        pair[:, 16:] = (0, 0, 255)
        Image.fromarray(pair).save(folder / f"{index}.png")
    options = [str(tmp_path / "data"), "--size", "32", "--method", "bicyclegan", "--number", "2", "--draws", "1"]
    assert main(["data", "preview", *options, "--out", str(tmp_path / "sheet.png")]) == 0
    assert "the model's input: channels 3, size 32x32 px, values -1 to 1" in caplog.text
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour: number for number, colour in sheet.convert("RGB").getcolors(1 << 16) or ()}
        # Two rows of two red and two blue cells of 128 px, the least that is shown.
        assert colours[255, 0, 0] == colours[0, 0, 255] == 2 * 2 * 128**2
    assert main(["data", "preview", *options, "--out", str(tmp_path / "page")]) == 0
    assert "What training sees" in (tmp_path / "page" / "index.html").read_text()
    assert (tmp_path / "page" / "preview.png").is_file()


def test_options_are_those_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(tmp_path / "data", size=32, num_train=1, num_val=1, num_test=1)
    assert main(["data", "preview", str(tmp_path / "data"), "--lamda-kl", "3"]) == 2
    assert "--lambda-kl" in capsys.readouterr().err
    assert main(["data", "preview", "--size", "32"]) == 2
    assert "DATA missing" in capsys.readouterr().err
    assert main(["data", "preview", str(tmp_path / "data"), "--out", str(tmp_path / "sheet.gif")]) == 2
    assert "is named like a file" in capsys.readouterr().err


@pytest.mark.parametrize("channels", [2, 4])
def test_colours_hidden_under_alpha_do_not_show(channels: int) -> None:
    """Not at the edges of what they are hidden under either, where a smaller picture mixes neighbours."""
    sheets = []
    for hidden in (0, 255):
        picture = np.full((300, 300, channels), hidden, np.uint8)
        picture[:, :, -1] = 0
        picture[100:201, 100:201] = 60
        picture[100:201, 100:201, -1] = 255
        draw_of = np.full((channels, 32, 32), -1, np.float32)
        sheets.append(np.asarray(draw([Seen("a", [picture, picture], [(draw_of, draw_of)])])))
    assert np.array_equal(*sheets)
    assert (sheets[0] == 60).any()
