"""``tandem sample`` with models of pix2pix, CycleGAN, CUT and an ablation: noise, directions, cycles, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import assert_page_is_whole, files_of, pixels, records_of, sample, tandem, train

import tandem as package
from tandem.checkpoint.bundle import load_bundle
from tandem.data.synthetic import write_dataset
from tandem.rng import derive_seed

NONE = {"encoder_filters": None, "latent_dim": None, "learning_rate": 0.01, "ema_halflife_images": 0}
PIX2PIX = NONE | {"method": "pix2pix", "size": 64}
UNPAIRED = NONE | {"generator_blocks": 5, "discriminator_layers": 2}
TANDEM = {"method": "tandem", "batch_size": 2, "learning_rate": 0.01, "lr_warmup_steps": 0, "ema_halflife_images": 0}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "pix2pix": ("pairs", PIX2PIX),
    "quiet": ("pairs", PIX2PIX | {"test_noise": False}),
    "cyclegan": ("domains", UNPAIRED | {"method": "cyclegan"}),
    "cut": ("domains", UNPAIRED | {"method": "cut", "nce_patches": 8, "nce_filters": 8}),
    "pix2pix-noise": ("pairs", {"method": "pix2pix-noise", "learning_rate": 0.01}),
    "tandem": ("pairs", TANDEM | {"direction": "BtoA", "input_channels": 1}),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("methods")
    counts = {"size": 32, "num_train": 4, "num_val": 0, "num_test": 2}
    return {
        "pairs": write_dataset(root / "pairs", **counts),
        "domains": write_dataset(root / "domains", layout="unpaired", **counts),
    }


@pytest.fixture(scope="module")
def models(datasets: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few steps of each; the held-out split is sampled after training."""
    root = tmp_path_factory.mktemp("models")
    for name, (kind, options) in MODELS.items():
        train(datasets[kind], root / name, steps=4, **options)
    return {name: root / name for name in MODELS}


@pytest.fixture
def odd(tmp_path: Path) -> dict[str, Path]:
    """Two folders with an image each, of sizes that no network takes."""
    folders = {}
    for index, (name, size) in enumerate({"a": (21, 37), "b": (18, 5)}.items()):
        folders[name] = tmp_path / f"in_{name}"
        folders[name].mkdir()
        noise = np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folders[name] / f"odd_{name}.png")
    return folders


def test_dropout_follows_from_the_seed(models: dict[str, Path], odd: dict[str, Path], tmp_path: Path) -> None:
    """The same seed gives the same bytes, another one others, and the first of many samples are those of few."""
    calls = {"first": ("3", "4"), "again": ("3", "4"), "fewer": ("2", "4"), "other": ("3", "5")}
    for name, (number, seed) in calls.items():
        sample(models["pix2pix"], odd["a"], "--num-samples", number, "--seed", seed, out=tmp_path / name)
    assert files_of(tmp_path / "first") == files_of(tmp_path / "again")
    shots = {
        name: [pixels(tmp_path / name / "images" / f"odd_a_random_0{i + 1}.png") for i in range(int(calls[name][0]))]
        for name in calls
    }
    assert {shot.shape for shot in shots["first"]} == {(21, 37, 3)}
    assert len({shot.tobytes() for shot in shots["first"]}) == 3
    assert all(np.array_equal(x, y) for x, y in zip(shots["fewer"], shots["first"], strict=False))
    assert not any(np.array_equal(x, y) for x, y in zip(shots["other"], shots["first"], strict=True))
    assert records_of(tmp_path / "first")[1]["series"][0]["samples"][0]["z"] == []


def test_without_test_noise_there_is_one_output(models: dict[str, Path], odd: dict[str, Path], tmp_path: Path) -> None:
    for seed in ("0", "1"):
        sample(models["quiet"], odd["a"], "--seed", seed, out=tmp_path / seed)
    assert len(records_of(tmp_path / "0")[1]["series"][0]["samples"]) == 1
    first, second = (pixels(tmp_path / seed / "images" / "odd_a_output_01.png") for seed in ("0", "1"))
    assert np.array_equal(first, second)
    assert not package.load(models["quiet"]).is_stochastic
    assert not package.load(models["quiet"]).manifest.samples_with_noise
    assert package.load(models["pix2pix"]).manifest.samples_with_noise


def test_pix2pix_samples_in_the_state_of_training(models: dict[str, Path]) -> None:
    """Batch norm takes the image's own statistics: the output is that of the training mode, to the bit."""
    translator = package.load(models["pix2pix"], device="cpu")
    _, networks = load_bundle(models["pix2pix"])
    generator = networks["generator"]
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    assert any(key.endswith("running_mean") for key in before)
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    found = translator(image, 2, seed=3, fit="pad", output="tensor")
    generator.train()
    for index in range(2):
        torch.manual_seed(derive_seed(3, "dropout", position=index))
        with torch.no_grad():
            expected = generator(torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1)
        torch.testing.assert_close(found[index : index + 1], expected, rtol=1e-4, atol=1e-5)
    engine = translator._engine._networks["generator"]  # type: ignore[attr-defined]
    assert [key for key, value in engine.state_dict().items() if not torch.equal(value, before[key])] == []
    # Drawing noise leaves the caller's random numbers alone.
    state = torch.get_rng_state()
    translator(image, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_dataset_of_two_domains_goes_both_ways(
    models: dict[str, Path], datasets: dict[str, Path], tmp_path: Path
) -> None:
    sample(models["cyclegan"], datasets["domains"], out=tmp_path / "both")
    records = records_of(tmp_path / "both")[1:]
    assert [(record["name"], record["direction"]) for record in records] == [
        ("00001", "AtoB"),
        ("00002", "AtoB"),
        ("00003", "BtoA"),
        ("00004", "BtoA"),
    ]
    translator = package.load(models["cyclegan"], device="cpu")
    for record in records:
        source = pixels(tmp_path / "both" / record["input"])
        domain = record["direction"][0]
        assert np.array_equal(source, pixels(datasets["domains"] / f"test{domain}" / f"{record['name']}.png"))
        (shot,) = record["series"][0]["samples"]
        expected = translator(source, direction=record["direction"], output="array")[0]
        assert np.array_equal(pixels(tmp_path / "both" / shot["file"]), expected)
    sample(models["cyclegan"], datasets["domains"], "--direction", "BtoA", out=tmp_path / "one")
    assert {record["direction"] for record in records_of(tmp_path / "one")[1:]} == {"BtoA"}
    sample(models["cut"], datasets["domains"], out=tmp_path / "cut")
    assert [record["direction"] for record in records_of(tmp_path / "cut")[1:]] == ["AtoB"] * 2
    assert_page_is_whole(tmp_path / "both" / "index.html", least=8)


def test_two_folders_in_one_call_with_cycles(models: dict[str, Path], odd: dict[str, Path], tmp_path: Path) -> None:
    """Each at its own odd size; a strip shows the input, the translation and the way back."""
    out = tmp_path / "out"
    sample(models["cyclegan"], odd["a"], odd["b"], "--direction", "both", "--cycle", out=out)
    records = records_of(out)[1:]
    assert [(record["name"], record["direction"]) for record in records] == [("odd_a", "AtoB"), ("odd_b", "BtoA")]
    translator = package.load(models["cyclegan"], device="cpu")
    for record in records:
        source = pixels(out / record["input"])
        (series,) = record["series"]
        assert (series["name"], [shot["caption"] for shot in series["samples"]]) == (
            "cycle",
            ["translated", "and back"],
        )
        there, back = (pixels(out / shot["file"]) for shot in series["samples"])
        assert there.shape == back.shape == source.shape
        assert np.array_equal(there, translator(source, direction=record["direction"], output="array")[0])
        cycled = translator.cycle(source, direction=record["direction"], output="array")
        assert np.array_equal(back, cycled[1])
        strip = pixels(out / series["grid"])
        assert strip.shape[1] >= 3 * source.shape[1]
    one, two = (records_of(out)[1]["series"][0]["samples"][i]["file"] for i in (0, 1))
    assert not np.array_equal(pixels(out / one), pixels(out / two))


def test_after_training_the_held_out_split_is_there(models: dict[str, Path]) -> None:
    found = {name: records_of(path / "samples")[1:] for name, path in models.items()}
    assert {name: len(records) for name, records in found.items()} == {
        "pix2pix": 2,
        "quiet": 2,
        "cyclegan": 4,
        "cut": 2,
        "pix2pix-noise": 2,
        "tandem": 2,
    }
    numbers = {name: len(records[0]["series"][0]["samples"]) for name, records in found.items()}
    assert numbers == {"pix2pix": 1, "quiet": 1, "cyclegan": 2, "cut": 1, "pix2pix-noise": 5, "tandem": 5}


REFUSED = [
    ("cyclegan", ["A", "--num-samples", "2"], 2, "--num-samples 2: this model (cyclegan) gives one output"),
    (
        "cyclegan",
        ["A", "--mode", "interpolate"],
        2,
        "--mode interpolate needs a latent, and this model (cyclegan)",
    ),
    ("cyclegan", ["A", "--mode", "encode"], 2, "--mode encode needs a latent"),
    ("cyclegan", ["A", "--z", "z.json"], 2, "--z needs a latent"),
    ("cyclegan", ["A", "--direction", "both"], 2, "both directions need a dataset folder, or a folder of A and a"),
    ("cyclegan", ["A", "B", "A", "--direction", "both"], 2, "not 3 inputs: give --direction AtoB or BtoA"),
    ("cyclegan", ["A", "--cycle", "--mode", "interpolate"], 2, "--cycle goes with --mode random only"),
    (
        "cut",
        ["A", "--cycle"],
        2,
        "--cycle needs a model that translates in both directions; this one (cut) goes one way only",
    ),
    ("cut", ["A", "--direction", "BtoA"], 2, "direction must be AtoB for this model, not 'BtoA'"),
    ("cut", ["A", "--direction", "both"], 2, "--direction both: this model translates AtoB only"),
    ("pix2pix", ["A", "--mode", "reference", "--reference", "A/odd_a.png"], 2, "--mode reference needs a latent"),
    ("pix2pix", ["A", "--cycle"], 2, "this one (pix2pix) goes one way only"),
    ("quiet", ["A", "--num-samples", "3"], 2, "it has neither a latent nor dropout"),
    ("pix2pix-noise", ["A", "--mode", "encode"], 1, "this model has no encoder"),
    ("pix2pix-noise", ["A", "--cycle"], 2, "this one (bicyclegan) goes one way only"),
    ("tandem", ["A", "--cycle"], 2, "this one (tandem) goes one way only"),
    ("tandem", ["A", "--direction", "AtoB"], 2, "direction must be BtoA for this model, not 'AtoB'"),
    ("tandem", ["A", "--tile", "16"], 2, "does not translate in tiles, since its norms need whole maps"),
    ("tandem", ["A", "--memory-gb", "0.000001"], 2, "does not translate in tiles, since its norms need whole maps"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {' '.join(case[1])}")
def test_what_has_no_effect_is_refused(
    models: dict[str, Path], odd: dict[str, Path], tmp_path: Path, case: tuple[str, list[str], int, str]
) -> None:
    """With nothing written."""
    name, words, status, says = case
    (tmp_path / "z.json").write_text("[[1, 2]]")
    places = {"A": str(odd["a"]), "B": str(odd["b"]), "z.json": str(tmp_path / "z.json")}
    places["A/odd_a.png"] = str(odd["a"] / "odd_a.png")
    before = files_of(tmp_path)
    refused = tandem("sample", models[name], *(places.get(word, word) for word in words), "--out", tmp_path / "out")
    assert (refused.status, says in refused.err) == (status, True), refused.err
    assert files_of(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_an_ablation_without_an_encoder_samples(models: dict[str, Path], odd: dict[str, Path], tmp_path: Path) -> None:
    sample(models["pix2pix-noise"], odd["a"], "--num-samples", "2", out=tmp_path / "random")
    sample(models["pix2pix-noise"], odd["a"], "--num-samples", "2", "--mode", "interpolate", out=tmp_path / "way")
    translator = package.load(models["pix2pix-noise"], device="cpu")
    assert translator.latent_dim == 4
    assert not translator.abilities.has_encoder
    (series,) = records_of(tmp_path / "random")[1]["series"]
    assert len({tuple(shot["z"]) for shot in series["samples"]}) == 2


@pytest.mark.parametrize("mode", ["encode", "reference", "interpolate"])
def test_tandem_encodes_pairs_with_their_input_and_references_without(
    models: dict[str, Path], datasets: dict[str, Path], odd: dict[str, Path], tmp_path: Path, mode: str
) -> None:
    """The recorded latents are those of the translator, and make the pictures again; B is the input, and grey."""
    reference = odd["b"] / "odd_b.png"
    words = ["--mode", mode, *(["--reference", str(reference)] if mode == "reference" else ["--num-samples", "2"])]
    sample(models["tandem"], datasets["pairs"], *words, out=tmp_path / "out")
    translator = package.load(models["tandem"], device="cpu")
    assert translator.abilities.encoder_sees_input
    for record in records_of(tmp_path / "out")[1:]:
        both = Image.open(datasets["pairs"] / "test" / f"{record['name']}.png")
        output, its_input = np.asarray(both.crop((0, 0, 32, 32))), np.asarray(both.crop((32, 0, 64, 32)).convert("L"))
        for series in record["series"]:
            for shot in series["samples"]:
                again = translator(its_input, z=shot["z"], output="array")[0]
                assert np.array_equal(pixels(tmp_path / "out" / shot["file"]), again)
        first = record["series"][0]["samples"][0]["z"]
        if mode == "encode":
            np.testing.assert_allclose(first, translator.encode(output, input_image=its_input)[0], rtol=0, atol=1e-5)
            assert np.abs(first - translator.encode(output)[0]).max() > 1e-4
        elif mode == "reference":
            np.testing.assert_allclose(first, translator.encode(reference)[0], rtol=0, atol=1e-5)


def test_tandem_translates_a_video_frame_by_frame(models: dict[str, Path], tmp_path: Path) -> None:
    frames = [np.random.default_rng(seed).integers(0, 256, (21, 30), dtype=np.uint8) for seed in range(3)]
    first, *rest = map(Image.fromarray, frames)
    first.save(tmp_path / "in.gif", save_all=True, append_images=rest)
    sample(models["tandem"], tmp_path / "in.gif", "--seed", "4", out=tmp_path / "out.gif")
    with Image.open(tmp_path / "out.gif") as made:
        assert (made.n_frames, made.size) == (3, (30, 21))


def test_every_kept_checkpoint_of_tandem_is_a_model(datasets: dict[str, Path], tmp_path: Path) -> None:
    """Those before and after the discriminators have joined alike."""
    options = TANDEM | {"gan_from": 0.5, "snapshot_every": 1, "keep_last": 9, "ema_halflife_images": 100}
    train(datasets["pairs"], tmp_path / "run", steps=4, **options)
    image, shots = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8), {}
    for step in range(1, 5):
        out = tmp_path / f"model-{step}"
        assert tandem("export", tmp_path / "run", "--checkpoint", str(step), "--out", out).status == 0
        translator = package.load(out, device="cpu")
        assert translator.manifest.training["steps"] == step
        assert set(translator.manifest.networks) == {"generator", "encoder"}
        shots[step] = translator(image, 1, output="array")[0]
    assert np.array_equal(shots[4], package.load(tmp_path / "run", device="cpu")(image, 1, output="array")[0])
    assert len({shot.tobytes() for shot in shots.values()}) == 4
