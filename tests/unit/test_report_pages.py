from urllib.parse import unquote_to_bytes

from test_report_html import HOSTILE, check_page, picture, svgs

from tandem.report.demo_page import DemoGroup, DemoView, demo_page
from tandem.report.sample_page import SampleGroup, sample_page


def test_sample_page_survives_hostile_file_names(tmp_path):
    names = [HOSTILE.replace(".png", f" {i}.png") for i in range(8)]
    files = [picture(tmp_path, name) for name in names]
    group = SampleGroup(
        name=HOSTILE,
        input_picture=files[0],
        ground_truth_picture=files[1],
        reference_picture=files[2],
        samples=[(files[3], "first <b>"), (files[4], "")],
        grid=files[5],
        strips=[(files[6], "spherical")],
        animation=files[7],
    )
    plain = SampleGroup(name="plain", input_picture=files[0])
    document = sample_page(HOSTILE, [group, plain, plain, plain], provenance={"model": HOSTILE})
    parsed = check_page(document, tmp_path)
    found = [unquote_to_bytes(image["src"]).decode() for image in parsed.all("img")]
    # The input first, then what it was made with, then the outputs.
    assert found[:8] == [files[i] for i in (0, 1, 2, 7, 3, 4, 6, 5)]
    assert parsed.text.count(HOSTILE) == 5  # tab, heading, contents, section, provenance
    assert "first <b>" in parsed.text
    assert parsed.all("b") == []
    assert parsed.all("script") == []


def test_demo_page_shows_every_picture(tmp_path):
    picture(tmp_path, "train/index.html.png")
    (tmp_path / "train" / "index.html").write_text("")
    groups = [
        DemoGroup(
            name=f"bag <{i}>",
            drawing=picture(tmp_path, f"{i}/drawing.png"),
            ground_truth=picture(tmp_path, f"{i}/truth.png"),
            samples=[picture(tmp_path, f"{i}/sample {j}.png") for j in range(8)],
            beside=[[picture(tmp_path, f"{i}/{name} {j}.png") for j in range(3)] for name in ("one", "two")],
            strip=picture(tmp_path, f"{i}/strip.png"),
            animation=picture(tmp_path, f"{i}/motion.png"),
            styled=[(picture(tmp_path, f"{i}/reference.png"), picture(tmp_path, f"{i}/styled.png"))],
        )
        for i in range(2)
    ]
    view = DemoView(
        headline="Many & more",
        subtitle="small",
        summary="8 of 8 beside 1 of 8",
        figures=[("Modes", "8 of 8", "measured")],
        frequencies={"true": {"red": 0.5, "tan": 0.5}, "BicycleGAN": {"red": 0.6, "tan": 0.4}},
        groups=groups,
        beside=["One, 2 steps", "Two, 3 steps"],
        training_pages={"the model": "train/index.html"},
        next_steps=[("Train", "tandem train <pairs> --out runs/x")],
    )
    document = demo_page(view)
    parsed = check_page(document, tmp_path)
    # Each drawing with seven outputs first, then everything.
    shown = [image["src"] for image in parsed.all("img")]
    assert shown[:8] == ["0/drawing.png", *(f"0/sample%20{i}.png" for i in range(7))]
    assert len(shown) == 2 * (8 + 2 + 1 + 8 + 1 + 2 + 3 + 3)
    assert len({image["alt"] for image in parsed.all("img")}) == len(parsed.all("img"))
    headings = ("One, 2 steps", "Two, 3 steps")
    for expected in (*headings, "Many & more", "8 of 8 beside 1 of 8", "tandem train <pairs> --out runs/x", "bag <1>"):
        assert expected in parsed.text
    (chart,) = svgs(document)
    assert "true: red 0.5, tan 0.5; BicycleGAN: red 0.6, tan 0.4" in chart.get("aria-label")
