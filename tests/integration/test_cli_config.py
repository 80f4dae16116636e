"""Options, configuration files and presets: what wins, what is refused, and that a printed configuration is the run."""

import dataclasses
from pathlib import Path

import pytest
from support import assert_same_run, flags, tandem, tiny, tiny_config, train, write_pairs

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.presets import PRESETS, preset_options
from tandem.config.run import from_flat, to_flat
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.config.yaml import to_yaml

NUMBERS = {
    "steps": 7,
    "learning_rate": 1e-05,
    "lambda_kl": 3e-07,
    "lambda_z": 2.0,
    "init_gain": 1e-3,
    "beta2": 0.99,
    "size": "32x64",
    "seed": 2**40,
}


def printed(*words: str | Path) -> dict[str, str]:
    """The configuration that a command line stands for, as text by name."""
    finished = tandem("train", *words, "--print-config")
    assert finished.status == 0, finished.err
    lines = [line.partition("  # ")[0] for line in finished.out.splitlines() if line and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def test_a_printed_configuration_is_the_run(data: Path, tmp_path: Path) -> None:
    """Options → YAML → the same YAML → the same run, bit for bit."""
    options = {"learning_rate": 1e-05, "lambda_kl": 3e-07, "size": "64x64", "steps": 3, "dropout": True}
    options["method"] = "bicyclegan"
    first = tandem("train", *tiny(**options), "--print-config")
    file = tmp_path / "run.yaml"
    file.write_text(first.out)
    assert tandem("train", "--config", file, "--print-config") == first
    train(data, tmp_path / "by-options", **options)
    finished = tandem("train", data, "--out", tmp_path / "by-file", "--config", file)
    assert finished.status == 0, finished.err
    assert_same_run(tmp_path / "by-options", tmp_path / "by-file")
    assert (tmp_path / "by-options" / "config.yaml").read_text() == first.out


@pytest.mark.parametrize("preset", PRESETS)
def test_a_printed_preset_is_the_preset(tmp_path: Path, preset: str) -> None:
    first = tandem("train", "--preset", preset, "--print-config")
    file = tmp_path / "run.yaml"
    file.write_text(first.out)
    assert first.status == 0
    assert tandem("train", "--config", file, "--print-config") == first
    assert first.out == to_yaml(from_flat(preset_options(preset)))


def test_every_option_of_the_file_is_an_option_of_the_command_line() -> None:
    config = tiny_config(**NUMBERS)
    values = {name: value for name, value in to_flat(config).items() if value is not None and value != []}
    assert tandem("train", *flags(**values), "--print-config").out == to_yaml(config)
    help_text = tandem("train", "--method", "bicyclegan", "--help").out
    for cls in (DataConfig, BicycleGANConfig, TrainingConfig, ValidationConfig):
        for field in dataclasses.fields(cls):
            assert f"--{field.name.replace('_', '-')}" in help_text


def test_options_win_over_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("batch_size: 8\nlog_every: 9\n")
    preset = PRESETS["demo-bicyclegan"].options
    found = printed("--preset", "demo-bicyclegan", "--config", file, "--batch-size", "16")
    assert found["batch_size"] == "16"
    assert found["log_every"] == "9"
    assert found["snapshot_every"] == str(preset["snapshot_every"])
    assert found["beta1"] == "0.5"
    assert printed("--batch-size", "16", "--config", file, "--preset", "demo-bicyclegan") == found
    assert printed(f"--config={file}", "--preset=demo-bicyclegan", "--batch-size=16") == found
    assert printed("--preset=demo-bicyclegan", "--no-conditional")["conditional"] == "false"


def test_the_last_file_wins(tmp_path: Path) -> None:
    for name, number in (("a", 4), ("b", 6)):
        (tmp_path / f"{name}.yaml").write_text(f"batch_size: {number}\n")
    found = printed("--config", tmp_path / "a.yaml", "--config", tmp_path / "b.yaml")
    assert found["batch_size"] == "6"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--lamda-kl", "1"], "there is no option --lamda-kl. Did you mean --lambda-kl?"),
        (["--lambda_kl=1"], "there is no option --lambda_kl. Did you mean --lambda-kl?"),
        (["--batchsize", "-3"], "there is no option --batchsize. Did you mean --batch-size?"),
        (["--no-flop"], "there is no option --no-flop. Did you mean --no-flip?"),
        (["--step", "3"], "there is no option --step. Did you mean --steps?"),
        (["more", "and more"], "there is one argument too many: and more."),
        (["--steps", "ten"], "--steps must be a whole number of at least 1, not 'ten'."),
        (["--steps", "1e3"], "--steps must be a whole number of at least 1, not '1e3'."),
        (["--lambda-kl", "much"], "--lambda-kl must be a number of at least 0, not 'much'."),
        (["--learning-rate", "inf"], "--learning-rate must be a number above 0, not 'inf'."),
        (["--learning-rate", "0"], "--learning-rate must be above 0, not 0"),
        (["--beta1", "1"], "--beta1 must be below 1, not 1"),
        (
            ["--method", "bicyclegan", "--gan-loss", "lsgn"],
            "--gan-loss must be one of lsgan, bce, hinge, wgangp, not 'lsgn'. Did you mean lsgan?",
        ),
        (["--size", "100"], "the nearest is --size 96"),
        (["--size", "big"], "--size must be a number of pixels or HEIGHTxWIDTH"),
        (["--batch-size", "3"], "--batch-size must be even"),
        (["--steps", "3", "--epochs", "4"], "--steps and --epochs both say how long the run is"),
        (["--method", "bicyclegan", "--lambda-gp", "1"], "--lambda-gp 1.0 has no effect without --gan-loss wgangp"),
        (["--lr-decay-epochs", "5"], "have no effect with --lr-schedule half_linear"),
        (["--preset", "demo-bicyclegan", "--lr-decay-epochs", "5"], "have no effect with --lr-schedule constant"),
        (["--load-size", "128"], "--load-size 128 is smaller than --size 256"),
        (["--device", "gpu"], "--device must be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        (["--method", "cylegan"], "unknown method 'cylegan': the methods are tandem, bicyclegan, pix2pix, cyclegan"),
        (["--preset", "horse2zebra", "--method", "cut"], "--preset horse2zebra is a recipe for cyclegan, not for cut"),
        (["--preset", "fastcut-horse2zebra", "--method", "cut"], "is a recipe for fastcut, not for cut"),
        (["--method", "cyclegan", "--latent-dim", "4"], "--latent-dim is an option of tandem and bicyclegan, not of"),
        (["--method", "cyclegan", "--direction", "BtoA"], "--direction BtoA has no effect: CycleGAN learns both"),
        (["--method", "pix2pix", "--generator-blocks", "6"], "has no effect with --generator unet"),
        (["--method", "cut", "--input-channels", "1"], "--input-channels and --output-channels must be the same"),
        (["--preset"], "--preset needs a value: text"),
        (["--config", "nowhere.yaml"], "--config nowhere.yaml: the file cannot be read (No such file or directory)"),
    ],
)
def test_what_does_not_work_is_refused(tmp_path: Path, words: list[str], says: str) -> None:
    refused = tandem("train", tmp_path, "--out", tmp_path / "run", *words)
    assert refused.status == 2
    assert says in refused.err
    assert refused.err.startswith("tandem train: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"lamda_kl: 1\n", "the configuration file has an unknown key 'lamda_kl'. Did you mean 'lambda_kl'?"),
        (b"batch_size: many\n", "--batch-size must be a whole number of at least 1, not 'many'."),
        (b"steps: 1.5\n", "--steps must be a whole number of at least 1, not 1.5."),
        (b"method: bicyclegan\ngan_loss: least\n", "--gan-loss must be one of lsgan, bce, hinge, wgangp, not 'least'."),
        (b"flip: maybe\n", "--flip must be true or false, not 'maybe'"),
        (b"just words\n", "must hold lines such as 'steps: 1000', not 'just words'"),
        (b"", "must hold lines such as 'steps: 1000', not ''"),
        (b"a: [1\n", "run.yaml: the file is no YAML in line 2: expected ',' or ']'"),
        (b"steps: " + b"9" * 5000 + b"\n", "run.yaml: the file is no YAML with values that can be read"),
        (b"size: 2026-13-45\n", "run.yaml: the file is no YAML with values that can be read"),
        (b"steps: " + b"[" * 5000 + b"\n", "run.yaml: the file is no YAML"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"size: !!python/object/apply:os.getcwd []\n", "python/object"),
        (b"preset: demo\n", "sets preset: demo"),
        (b"method: cylegan\n", "unknown method 'cylegan'"),
        (b"method: cyclegan\nlatent_dim: 4\n", "the configuration file has an unknown key 'latent_dim'"),
        (b"steps: 3\nepochs: 4\nbatch_size: 5\n", "--batch-size must be even"),
    ],
)
def test_what_does_not_work_in_a_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "run.yaml").write_bytes(content)
    refused = tandem("train", tmp_path, "--out", tmp_path / "run", "--config", tmp_path / "run.yaml")
    assert refused.status == 2
    assert says in refused.err
    assert not (tmp_path / "run").exists()


def test_a_file_decides_about_the_method_unless_the_command_line_contradicts(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("method: fastcut\nnce_patches: 64\n")
    found = printed("--config", tmp_path / "run.yaml")
    assert (found["method"], found["lambda_nce"], found["nce_patches"]) == ("cut", "10.0", "64")
    refused = tandem("train", "--config", tmp_path / "run.yaml", "--method", "cyclegan", "--print-config")
    assert refused.status == 2
    assert "the configuration file is for the method fastcut, but --method is cyclegan" in refused.err


def test_a_variant_wins_over_the_preset_and_an_option_over_the_variant() -> None:
    found = printed("--preset", "demo-bicyclegan", "--method", "pix2pix-noise", "--lambda-l1-random", "5")
    assert (found["method"], found["generator_filters"]) == ("bicyclegan", "24")
    assert (found["lambda_kl"], found["latent_trains_encoder"], found["lambda_l1_random"]) == ("0.0", "false", "5.0")
    assert printed("--method", "cyclegan")["batch_size"] == "1"


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    refused = tandem("train", tmp_path, "--out", tmp_path, *flags(steps=0, batch_size=3, size=100, seed=-1))
    assert refused.status == 2
    assert len(refused.err.splitlines()) == 5
    assert all(f"\n  - {name} " in refused.err for name in ("--steps", "--batch-size", "--size", "--seed"))


@pytest.mark.parametrize(("words", "says"), [([], "DATA and --out missing"), (["data"], "--out missing")])
def test_missing_arguments(words: list[str], says: str) -> None:
    refused = tandem("train", *words)
    assert refused.status == 2
    assert says in refused.err


def test_the_help_names_defaults_and_meaning() -> None:
    out = tandem("train", "--help").out
    assert "weight of the KL divergence" in out
    assert "default: 0.0005" in out
    assert "default: 0.01" in tandem("train", "--method", "bicyclegan", "--help").out
    with_preset = tandem("train", "--preset", "demo", "--help").out
    assert "default: 286" not in with_preset
    assert "default: 68" in with_preset


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--preset", "facades"], ("256", "286")),
        (["--preset", "facades", "--size", "64"], ("64", "72")),
        (["--preset", "facades", "--size", "128"], ("128", "143")),
        (["--preset", "maps", "--size", "64"], ("64", "150")),
        (["--preset", "pytorch128", "--size", "64"], ("64", "64")),
        (["--preset", "demo", "--size", "128"], ("128", "136")),
        (["--preset", "facades", "--size", "64x128"], ('"64x128"', '"72x143"')),
        (["--preset", "facades", "--size", "64", "--load-size", "100"], ("64", "100")),
        (["--preset", "facades", "--size", "64", "--load-size", "null"], ("64", "null")),
        (["--preset", "facades", "--load-size", "300"], ("256", "300")),
        (["--preset", "facades", "--size", "64x128", "--preprocess", "scale_width"], ('"64x128"', "143")),
        (["--preset", "facades", "--preprocess", "crop"], ("256", "null")),
        (["--preset", "facades", "--size", "64", "--preprocess", "none", "--batch-size", "2"], ("64", "null")),
    ],
)
def test_a_load_size_goes_with_the_size(words: list[str], expected: tuple[str, str]) -> None:
    """It is a ratio to the size of the preset, unless it is given itself."""
    found = printed(*words)
    assert (found["size"], found["load_size"]) == expected


def test_a_load_size_of_a_file_goes_with_the_size_too(tmp_path: Path) -> None:
    """A printed configuration holds both; what is given after it may change one of them."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("size: 128\nload_size: 160\n")
    second.write_text("size: 64\n")
    sizes = {
        ("--config", first): ("128", "160"),
        ("--config", first, "--size", "64"): ("64", "80"),
        ("--config", first, "--config", second): ("64", "80"),
        ("--preset", "facades", "--config", second): ("64", "72"),
        ("--preset", "facades", "--config", first, "--size", "64"): ("64", "80"),
    }
    for words, expected in sizes.items():
        found = printed(*words)
        assert (found["size"], found["load_size"]) == expected
    second.write_text("size: [1, 2]\npreprocess: [crop]\n")
    refused = tandem("train", "--config", first, "--config", second, "--print-config")
    assert refused.status == 2
    assert "--size must be" in refused.err


def test_a_preset_trains_at_another_size(tmp_path: Path) -> None:
    """Nobody who gives --size has to know the load size."""
    write_pairs(tmp_path / "data" / "train", 2)
    few = flags(generator_filters=2, encoder_filters=2, discriminator_filters=2, steps=1, device="cpu", num_workers=0)
    words = ("--preset", "facades", "--size", "32", "--no-dropout", *few)
    finished = tandem("train", tmp_path / "data", "--out", tmp_path / "run", *words)
    assert finished.status == 0, finished.err
    assert "load_size: 36 " in (tmp_path / "run" / "config.yaml").read_text()
