import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from test_report_html import HOSTILE, Parsed, check_page, images_of, picture, svgs

from tandem.errors import DataError, TandemError
from tandem.report.links import Link
from tandem.report.nature import Nature
from tandem.report.records import parse_record, read_metrics
from tandem.report.training_page import RunView, Snapshot, training_page, write_training_page

NAN = math.nan
BICYCLEGAN = Nature(latent=True, networks=("generator", "encoder", "disc_encoded", "disc_random"))


def train_record(step: int) -> dict:
    losses = {"gan_encoded": 1 / (step + 1), "l1": 2.0, "disc_encoded": 0.5}
    speed = {"images_per_second": 8.0, "memory_mb": 512.0, "world_size": 1, "waiting": None}
    place = {"kind": "train", "step": step, "images": 4 * step, "epoch": 0.1}
    return place | {"losses": losses, "learning_rate": 0.0002, "speed": speed}


def health_record(step: int, **more) -> dict:
    measured = {"diversity": 0.2, "real_spread": 0.5, "diversity_ratio": 0.4}
    measured |= {"kl_per_dimension": [0.1, 0.2, 0.3], "recovered_z_error": 0.5}
    told = {"recovered_z_chance": 0.798, "fixed_l1": 0.2, "verdict": "z is used <well>.", "level": "good"}
    place = {"kind": "health", "step": step, "images": 4 * step, "split": "val"}
    return place | measured | told | more


def example_run(folder: Path, num_snapshots: int = 3) -> RunView:
    return RunView(
        name="runs/<demo>",
        state="running",
        message="",
        step=10,
        images_seen=40,
        total_images=160,
        epoch=0.5,
        rate=8.0,
        seconds_left=15.0,
        memory_mb=512.0,
        device="cpu",
        config={"lambda_kl": "0.01", "data": HOSTILE},
        records=[parse_record(r) for r in (*map(train_record, range(10)), health_record(0), health_record(9))],
        snapshots=[Snapshot(i, 4 * i, picture(folder, f"samples/{i}.png")) for i in range(num_snapshots)],
        nature=BICYCLEGAN,
    )


def test_training_page_shows_the_run(tmp_path):
    run = example_run(tmp_path)
    write_training_page(tmp_path / "index.html", run)
    document = (tmp_path / "index.html").read_text(encoding="utf-8")
    parsed = check_page(document, tmp_path)
    for expected in (
        "runs/<demo>",
        "40 of 160 images",
        "8 /s",
        "15 s",
        "512 MB",
        "z is used <well>.",
        HOSTILE,
    ):
        assert expected in parsed.text
    (bar,) = [attrs for _, attrs in parsed.elements if attrs.get("role") == "progressbar"]
    assert bar["aria-valuenow"] == "25"
    assert [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "refresh"] == ["15"]
    assert parsed.all("img")[0]["src"] == "samples/2.png"

    charts = {svg.get("aria-label").split(",")[0].split(".")[0]: svg for svg in svgs(document)}
    names = list(charts)
    assert names[:2] == ["Generator and encoder", "Discriminators"]
    assert "gan_encoded from 1 to 0.1; l1 from 2 to 2" in charts["Generator and encoder"].get("aria-label")
    assert "disc_encoded" not in charts["Generator and encoder"].get("aria-label")
    assert "disc_encoded from 0.5 to 0.5" in charts["Discriminators"].get("aria-label")
    assert "chance" in "".join(charts["Error of z recovered from the output"].itertext())
    assert "real data" in "".join(charts["Diversity of samples"].itertext())
    assert charts["KL of each dimension of z"].get("aria-label").endswith("latest. 1 0.1, 2 0.2, 3 0.3")


@pytest.mark.parametrize("state", ["stopped", "finished", "failed"])
def test_only_a_running_page_renews_itself(tmp_path, state):
    document = training_page(replace(example_run(tmp_path), state=state, message="Because <so>."))
    parsed = check_page(document, tmp_path)
    assert not any("http-equiv" in meta for meta in parsed.all("meta"))
    assert parsed.all("script") == []
    assert "Because <so>." in parsed.text
    assert "Remaining" not in parsed.text


def test_training_page_shows_the_distance_from_the_prior(tmp_path):
    """Where it is known; too few images have none."""
    facts = {"prior": "N(0, I)", "active": 2, "images": 9}
    told = [facts | {"distance": value} for value in (None, 2.5, 1.5)]
    records = [parse_record(health_record(step, latents=one)) for step, one in enumerate(told)]
    charts = svgs(training_page(replace(example_run(tmp_path), records=records)))
    (label,) = [svg.get("aria-label") for svg in charts if "latents from the prior" in svg.get("aria-label")]
    assert "distance from 2.5 to 1.5" in label
    without = svgs(training_page(example_run(tmp_path)))
    assert not any("latents from the prior" in svg.get("aria-label") for svg in without)


def test_training_page_before_anything_is_known(tmp_path):
    empty = replace(
        example_run(tmp_path),
        records=[],
        snapshots=[],
        total_images=None,
        rate=None,
        seconds_left=None,
        memory_mb=None,
    )
    parsed = check_page(training_page(empty), tmp_path)
    assert parsed.text.count("no data yet") == 2
    assert parsed.all("img") == []


@pytest.mark.parametrize("count", [1, 2, 12, 13, 40])
def test_time_line_holds_every_snapshot_once_newest_first(tmp_path, count):
    document = training_page(example_run(tmp_path, count))
    check_page(document, tmp_path)
    shown, _, folded = document.partition("<details>")
    sources = [[image["src"] for image in images_of(part)] for part in (shown, folded)]
    time_line = sources[0][1:] + sources[1]
    expected = [f"samples/{i}.png" for i in reversed(range(count))]
    assert sources[0][0] == expected[0]
    if count > 1:
        assert sorted(time_line) == sorted(expected)
        assert len(sources[0]) - 1 == min(count, 12)
        for part in (sources[0][1:], sources[1]):
            assert part == sorted(part, key=expected.index)
        assert (sources[0][1], sources[0][-1]) == (expected[0], expected[-1])


def test_records_of_the_wrong_kind_do_not_break_the_page(tmp_path):
    records = [
        {"kind": "train", "losses": 3},
        {"kind": "train", "images": "many", "losses": {"l1": None}},
        {"kind": "train", "images": 4, "losses": {"l1": NAN}},
        {"kind": "train", "images": 10**400, "losses": {"l1": 10**400}},
        {"kind": "health"},
        {"kind": "something else"},
        {"kind": "health", "images": 4, "kl_per_dimension": "abc", "verdict": 7, "level": ["x"]},
    ]
    parsed = [parse_record(record) for record in records]
    assert [record.as_json() for record in parsed] == records
    check_page(training_page(replace(example_run(tmp_path), records=parsed)), tmp_path)


def test_metrics_are_read_up_to_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    whole = [train_record(step) | {"note": "é"} for step in range(3)]
    data = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in whole).encode()
    start_of_last = data.rindex(b"{", 0, data.rindex(b'"losses"'))
    for end in range(start_of_last, len(data) + 1):
        path.write_bytes(data[:end])
        expected = whole if end >= len(data) - 1 else whole[:2]
        assert [record.as_json() for record in read_metrics(path)] == expected, f"cut off after {end} bytes"


@pytest.mark.parametrize("broken", ['{"kind": "tr', "[1, 2]", "3", "nonsense"])
def test_a_broken_line_is_named(tmp_path, broken):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(train_record(0)) + "\n" + broken + "\n" + json.dumps(train_record(1)) + "\n")
    with pytest.raises(TandemError, match=r"metrics\.jsonl, line 2 is not"):
        read_metrics(path)
    path.write_text(broken + "\n")
    with pytest.raises(DataError, match="line 1"):
        read_metrics(path)


def test_numbers_on_training_images_are_called_so(tmp_path):
    """Where there is no held-out split the fixed inputs are training images; nothing of them is validation."""
    run = example_run(tmp_path)
    held_out = check_page(training_page(run), tmp_path).text
    assert "L1 to the ground truth, of the fixed inputs" in held_out
    assert "training images, because" not in held_out
    records = [*map(train_record, range(10)), health_record(9, split="train")]
    document = training_page(replace(run, records=[parse_record(record) for record in records]))
    shown = check_page(document, tmp_path).text
    assert "The fixed inputs are training images, because the dataset has neither a split val nor test" in shown
    assert "L1 to the ground truth, of fixed training images" in shown
    assert "validation" not in document.lower()


@pytest.mark.parametrize(
    ("nature", "says", "says_not"),
    [
        (BICYCLEGAN, ["Generator and encoder", "Discriminators", "same z", "Latest samples"], ["dropout"]),
        (
            Nature(noise=True, networks=("generator", "disc")),
            ["Generator", "Discriminator", "same dropout", "Diversity of samples"],
            ["encoder", "Discriminators", "same z", "Latent"],
        ),
        (
            Nature(networks=("gen_ab", "gen_ba", "disc_a", "disc_b")),
            ["Generators", "Discriminators", "Latest outputs", "The same inputs at every snapshot"],
            ["encoder", "same z", "Latent", "Diversity", "amples"],
        ),
        (
            Nature(networks=("generator", "projector", "disc")),
            ["Generator and projector", "Discriminator"],
            ["Discriminators", "same z", "Latent"],
        ),
    ],
    ids=["bicyclegan", "pix2pix", "cyclegan", "cut"],
)
def test_words_follow_what_the_model_can_do(tmp_path, nature, says, says_not):
    measured = {"kl_per_dimension": [], "recovered_z_error": None, "verdict": "So it is."}
    records = [parse_record(record) for record in (train_record(0), health_record(0, **measured))]
    run = replace(example_run(tmp_path), nature=nature, records=records, config={})
    document = training_page(run)
    text = Parsed(document).text + " ".join(svg.get("aria-label") for svg in svgs(document))
    for words in says:
        assert words in text
    for words in says_not:
        assert words not in text


def loss_records(losses: dict[str, list[float]]) -> list:
    count = len(next(iter(losses.values())))
    rows = [{name: values[i] for name, values in losses.items()} for i in range(count)]
    return [parse_record(train_record(i) | {"losses": row}) for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("losses", "logarithmic"),
    [
        ({"l1": [5.0, 3.0, 2.0], "kl": [0.02, 0.03, 0.02]}, True),  # the small one would lie on the axis
        ({"l1": [5.0, 3.0, 2.0], "gan": [1.0, 0.8, 0.7]}, False),
        ({"wgan": [5.0, -3.0, 0.02]}, False),  # no logarithm of these
        ({"l1": [1.0] * 200 + [900.0]}, True),  # one spike
        ({"l1": [5.0] * 100 + [0.0], "kl": [0.02] * 101}, True),  # a zero among many is left out
    ],
)
def test_losses_over_decades_have_a_logarithmic_axis_and_a_choice(tmp_path, losses, logarithmic):
    document = training_page(replace(example_run(tmp_path), state="finished", records=loss_records(losses)))
    parsed = check_page(document, tmp_path)
    labels = [svg.get("aria-label") for svg in svgs(document) if "loss" in svg.get("aria-label")]
    assert ["logarithmic" in label for label in labels] == ([True, False] if logarithmic else [False])
    radios = [attributes for attributes in parsed.all("input") if attributes["type"] == "radio"]
    assert ["checked" in radio for radio in radios] == ([True, False] if logarithmic else [])
    # Each is chosen by a label of its own, without a script.
    assert [label["for"] for label in parsed.all("label")] == [radio["id"] for radio in radios]
    assert parsed.all("script") == []


def test_where_a_run_comes_from(tmp_path):
    picture(tmp_path, "model/model.json.png")
    (tmp_path / "model" / "model.json").write_text("{}")
    run = replace(
        example_run(tmp_path),
        command="tandem train <data> --out runs/x --size 64",
        changed=[("--size", "64", "256")],
        facts={"Data": "<data>", "Started": "2026-01-02 03:04 UTC"},
        links=[Link("Model", "model/model.json")],
        config={"method": "bicyclegan", "size": "64"},
    )
    parsed = check_page(training_page(run), tmp_path)
    for expected in (run.command, "--size", "Default of bicyclegan", "2026-01-02 03:04 UTC", "All 2 options"):
        assert expected in parsed.text
    assert parsed.text.index("Not as by default") < parsed.text.index("All 2 options")
    assert "model/model.json" in [anchor["href"] for anchor in parsed.all("a")]
