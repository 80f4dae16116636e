"""Links between the pages of a run: they lead to what exists, and are made anew when more exists."""

from pathlib import Path

import pytest
from test_report_html import check_page
from test_report_training import example_run

from tandem.report.links import RUN_FILES, Link, links_of, renew_links, run_links, run_of
from tandem.report.sample_page import sample_page
from tandem.report.training_page import write_training_page
from tandem.training.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "runs" / "a & <b>"
    root.mkdir(parents=True)
    (root / "config.yaml").write_text("")
    write_training_page(root / "index.html", example_run(root))
    return root


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_the_names_are_those_of_a_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert {name: tmp_path / path for name, path in RUN_FILES.items()} == {
        "Training": folder.page,
        "Samples": folder.samples / "index.html",
        "Evaluation": folder.root / "evaluation" / "report.html",
        "Model": folder.model / "model.json",
        "Options": folder.config,
        "Log": folder.metrics,
    }


def test_only_what_exists_is_linked_and_never_the_page_itself(run: Path) -> None:
    assert run_links(run / "index.html", run) == [Link("Options", "config.yaml")]
    put(run / "model" / "model.json")
    elsewhere = run.parent / "samples of it" / "index.html"
    assert [link.path for link in run_links(elsewhere, run)] == [
        "../a & <b>/index.html",
        "../a & <b>/model/model.json",
        "../a & <b>/config.yaml",
    ]
    assert links_of(elsewhere, {"gone": run / "gone"}) == []


def test_a_run_is_found_from_its_parts(run: Path) -> None:
    model = put(run / "model" / "model.json")
    assert {run_of(path) for path in (run, run / "model", model, run / "samples")} == {run}
    assert run_of(run.parent) is None


def test_links_are_made_anew_when_more_exists(run: Path) -> None:
    page = run / "index.html"
    before = page.read_text(encoding="utf-8")
    samples = run / "samples" / "index.html"
    samples.parent.mkdir(exist_ok=True)
    samples.write_text(sample_page("s", [], provenance={}, links=run_links(samples, run)), encoding="utf-8")
    report = put(run / "evaluation" / "report.html")
    renew_links(run)
    after = page.read_text(encoding="utf-8")
    found = [anchor["href"] for anchor in check_page(after, run).all("a")]
    assert {"samples/index.html", "evaluation/report.html", "config.yaml"} <= set(found)
    of_samples = check_page(samples.read_text(encoding="utf-8"), samples.parent)
    assert "../evaluation/report.html" in [anchor["href"] for anchor in of_samples.all("a")]
    assert report.read_text() == ""  # a page without a place for links stays as it is
    samples.unlink()
    report.unlink()
    renew_links(run)
    # There and back: nothing else of the page has changed.
    without = after.replace(after.partition("<!-- links -->")[2].partition("<!-- end of links -->")[0], "")
    assert without == before.replace(before.partition("<!-- links -->")[2].partition("<!-- end of links -->")[0], "")


def test_what_cannot_be_read_is_left(run: Path) -> None:
    (run / "index.html").write_bytes(b"\xff\xfe<!-- links --><!-- end of links -->")
    renew_links(run)
    assert (run / "index.html").read_bytes() == b"\xff\xfe<!-- links --><!-- end of links -->"
