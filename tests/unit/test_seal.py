"""Bundles to be shared: every byte is sealed, the card says what is known, the Hub's own reader takes it."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cyclegan_bundle import make_cyclegan
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import read_manifest
from tandem.cli import main
from tandem.errors import BundleError
from tandem.report.model_card import ModelCard, model_card
from tandem.report.scores import EvaluationReport, MetricResult, Score
from tandem.training.start import read_source


def export(model: Path, out: Path, *words: str) -> int:
    return main(["export", str(model), "--to", "hub", "--out", str(out), *words])


@pytest.fixture
def shared(make_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8)).save(tmp_path / "grid.png")
    assert export(make_bundle(), tmp_path / "shared", "--picture", str(tmp_path / "grid.png")) == 0
    return tmp_path / "shared"


def test_the_folder_has_the_names_that_the_hub_knows(shared: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in shared.iterdir())
    assert names == ["README.md", "config.json", "model.safetensors", "samples.png"]
    (before, networks), (after, again) = load_bundle(tmp_path / "model"), load_bundle(shared)
    assert after.networks == before.networks
    assert after.seal is not None
    assert sorted(after.seal.files) == ["README.md", "model.safetensors", "samples.png"]
    for name, network in networks.items():
        assert all((again[name].state_dict()[key] == value).all() for key, value in network.state_dict().items())
    assert load_bundle(shared / "config.json")[0] == after


def test_a_run_can_start_from_it(shared: Path) -> None:
    source = read_source(shared)
    assert source.kind == "model"
    assert sorted(source.networks) == ["encoder", "generator"]
    (shared / "README.md").write_text("other")
    with pytest.raises(BundleError, match="was changed after the model was sealed"):
        read_source(shared)


def test_every_byte_of_every_file_is_sealed(shared: Path, tmp_path: Path) -> None:
    """Every byte of the manifest and the card, and some of the weights and the picture."""
    for path in sorted(shared.iterdir()):
        content = path.read_bytes()
        step = 1 if path.suffix == ".md" else 7 if path.suffix == ".json" else max(1, len(content) // 40)
        for at in range(0, len(content), step):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(BundleError):
                read_manifest(shared)
        path.write_bytes(content.replace(b"\n", b"\r\n", 1))
        with pytest.raises(BundleError):
            read_manifest(shared)
        path.write_bytes(content)
        read_manifest(shared)
        path.rename(tmp_path / "away")
        with pytest.raises(BundleError):
            read_manifest(shared)
        (tmp_path / "away").rename(path)


def test_a_card_that_its_author_edits_is_sealed_anew(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shared / "README.md").write_text("---\nlicense: mit\n---\nOurs.\n")
    (shared / "LICENSE").write_text("Do as you like.\n")
    with pytest.raises(BundleError, match=r"README.md is missing or was changed .*tandem export .* --to hub --out"):
        read_manifest(shared)
    assert export(shared, shared) == 0
    manifest, _ = read_manifest(shared)
    assert manifest.seal is not None
    assert "LICENSE" in manifest.seal.files
    assert (shared / "README.md").read_text().endswith("Ours.\n")
    (shared / "model.safetensors").write_bytes(b"other")
    assert export(shared, shared) == 1
    assert "model.safetensors are damaged" in capsys.readouterr().err


def test_a_seal_is_not_carried_to_other_files(shared: Path, tmp_path: Path) -> None:
    manifest, networks = load_bundle(shared)
    save_bundle(tmp_path / "again", manifest, networks)
    assert read_manifest(tmp_path / "again")[0].seal is None
    text = (shared / "config.json").read_text()
    values = json.loads(text)
    del values["seal"]
    (shared / "config.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match="has no seal"):
        read_manifest(shared)


def test_paths_of_this_machine_are_not_shared(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    manifest, networks = load_bundle(make_bundle())
    training = {
        "start": {"path": "/home/me/runs/shoes"},
        "options": {"feature_weights": "/data/vgg.pth", "method": "x"},
    }

    save_bundle(tmp_path / "private", dataclasses.replace(manifest, training=training), networks)
    assert export(tmp_path / "private", tmp_path / "public") == 0
    for path in (tmp_path / "public" / "config.json", tmp_path / "public" / "README.md"):
        assert "/home/me" not in path.read_text()
        assert "/data/" not in path.read_text()
    assert read_manifest(tmp_path / "public")[0].training["start"] == {"path": "shoes"}


@pytest.mark.parametrize(
    "words_and_message",
    [
        (["--licence", "All rights reserved"], "--licence must be an identifier such as mit"),
        (["--picture", "grid.gif"], "--picture must be one of .png"),
        (["--to", "official", "--licence", "mit"], "--licence has no effect without --to hub"),
        (["--evaluation", "other"], "has measured other weights than those of this model"),
    ],
)
def test_what_cannot_stand_in_a_card(
    make_bundle: Callable[..., Path],
    tmp_path: Path,
    words_and_message: tuple[list[str], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, message = words_and_message
    monkeypatch.chdir(tmp_path)
    Path("other").mkdir()
    report = {"versions": {}, "subject": {"weights_sha256": "0"}, "data": {}, "settings": {}, "results": []}
    Path("other/report.json").write_text(json.dumps(report))
    assert export(make_bundle(), tmp_path / "shared", *words) == 2
    assert message in capsys.readouterr().err


def report_of(direction: str) -> EvaluationReport:
    scores = (
        Score(name="fid", value=81.25, better="lower", count=200),
        Score(name="lpips", value=0.25, better="lower", count=200, low=0.2, high=0.31, method="percentile bootstrap"),
    )
    return EvaluationReport(
        versions={},
        subject={"direction": direction},
        data={"path": "C:\\data\\horses", "split": "test", "num_inputs": 200},
        settings={},
        results=(MetricResult(metric="fid", title="FID", scores=scores),),
    )


def card_of(**more: object) -> str:
    values = {
        "name": "horses | <b>",
        "method": "cyclegan",
        "licence": "mit",
        "does": "Translates.",
        "facts": {"Steps": "1,000", "Data": "a | b"},
        "options": ["batch-size 4", "note `x`"],
        "reports": [report_of("AtoB"), report_of("BtoA")],
    }
    return model_card(ModelCard(**values | more))  # type: ignore[arg-type]


def test_the_front_matter_is_the_one_of_the_hub() -> None:
    text = card_of()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["library_name"] == "tandem-gan"
    assert front["pipeline_tag"] == "image-to-image"
    assert front["license"] == "mit"
    (index,) = front["model-index"]
    assert [one["dataset"]["name"] for one in index["results"]] == ["horses A → B", "horses B → A"]
    assert index["results"][0]["metrics"][1]["args"]["high"] == 0.31
    assert "| lpips | 0.25 | 0.2 to 0.31 (95%, percentile bootstrap) | lower |" in text
    assert "model-index" not in card_of(reports=[])
    assert "Not measured." in card_of(reports=[])


def test_the_hubs_own_reader_takes_the_card(shared: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(card_of())
    found = {(one.dataset_name, one.metric_type): one for one in card.data.eval_results}
    assert len(found) == 4
    assert found["horses B → A", "lpips"].metric_value == 0.25
    assert found["horses B → A", "lpips"].metric_args["low"] == 0.2
    assert card.data.license == "mit"
    assert card.data.pipeline_tag == "image-to-image"
    loaded = hub.ModelCard.load(shared / "README.md")
    assert loaded.data.license == "unknown"
    assert "Yours to write" in loaded.text


def test_a_model_of_both_directions_is_shared(tmp_path: Path) -> None:
    make_cyclegan(tmp_path / "horses")
    assert export(tmp_path / "horses", tmp_path / "shared") == 0
    assert "(A to B and B to A) into one output" in (tmp_path / "shared" / "README.md").read_text()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "shared" / "README.md", other)
    assert export(tmp_path / "horses", other) == 2
