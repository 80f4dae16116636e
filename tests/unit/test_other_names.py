"""Option names of other projects get the right answer, random words get none, and the table names what exists."""

import random
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tandem.commands.parser import Command
from tandem.commands.train import main as train_main
from tandem.commands.unknown import LIKENESS, all_places, similar
from tandem.config.names.entry import OtherName
from tandem.config.names.joligen import FAMILIES
from tandem.config.names.table import find_name, key_of, other_names, value_here
from tandem.config.run import METHODS, RunConfig
from tandem.errors import ConfigError, Problem

COMMANDS: dict[str, Command] = {place.command.name: place.command for place in reversed(all_places())}
FLAGS = {flag for place in all_places() for flag in place.flags}
OF_OTHERS = {"--nproc-per-node", "--help"}


def problems(line: str) -> list[Problem]:
    """What is said of a command line, or of ``train`` with a method."""
    name, _, rest = line.partition(" ")
    words = rest.split()
    if name in {"data", "bench"}:
        name, words = f"{name} {words[0]}", words[1:]
    with pytest.raises(ConfigError) as raised:
        train_main(words) if name == "train" else COMMANDS[name].values(words)
    return list(raised.value.problems)


TALLY = """
train --dataroot ./d: ./d
train --name x: --out runs/x
train --checkpoints_dir y: --out y/NAME
train --gpu_ids 0: --device cuda:0
train --gpu_ids -1: --device cpu
train --model cycle_gan: --method cyclegan
train --input_nc 1: --input-channels 1
train --output_nc 1: --output-channels 1
train --ngf 32: --generator-filters 32
train --ndf 32: --discriminator-filters 32
train --method pix2pix --netD pixel: --discriminator pixel
train --method cyclegan --netG resnet_6blocks: --generator resnet --generator-blocks 6
train --method pix2pix --n_layers_D 2: --discriminator-layers 2
train --method pix2pix --which_model_netG unet_128: --generator unet --generator-depth 7
train --init_type normal: --init normal
train --no_dropout: --no-dropout
train --which_direction BtoA: --direction BtoA
train --num_threads 2: --num-workers 2
train --batchSize 4: --batch-size
train --loadSize 286: --load-size
train --fineSize 256: --size 256
train --no_flip: --no-flip
train --resize_or_crop crop: --preprocess crop
train --gan_mode vanilla: --gan-loss bce
train --method cyclegan --lambda_A 10: --lambda-cycle-a 10
train --method cyclegan --lambda_B 10: --lambda-cycle-b 10
train --lr 0.1: --learning-rate 0.1
train --niter 100: --lr-schedule linear --lr-constant-epochs 100 --lr-decay-epochs 100
train --lr_policy cosine: --lr-schedule cosine --lr-constant-epochs 100 --lr-decay-epochs 100
train --save_latest_freq 500: --snapshot-every 500
train --print_freq 100: --log-every 100
train --use_wandb: --log wandb
sample --results_dir r: --out r
train --nz 8: --latent-dim 8
train --nef 32: --encoder-filters 32
train --where_add input: --injection input
train --upsample basic: --upsampling transposed
train --nl lrelu: --activation lrelu
train --use_dropout: --dropout
train --netE conv_128: --encoder cnn --encoder-depth 4
train --netD basic_128: --discriminator-layers 2 --discriminator-scales 1
train --num_Ds 3: --discriminator-scales 3
train --conditional_D: --conditional
train --use_same_D: --shared-discriminator
train --lambda_GAN2 1: --lambda-gan2
sample --n_samples 5: --num-samples 5
sample --no_encode: --mode random
train --CUT_mode FastCUT: --method fastcut
train --method cut --lambda_NCE 1: --lambda-nce
train --method cut --nce_idt False: --no-nce-identity
train --method cut --nce_T 0.1: --nce-temperature 0.1
train --method cut --num_patches 64: --nce-patches 64
train --method cut --netF_nc 64: --nce-filters 64
train --method cut --normG batch: --norm batch
train --method cut --no_antialias_up: --no-antialias
train --evaluation_freq 500: --validate-every 500
train --continue_train:
train --max_dataset_size 5:
train --display_id -1:
train --method cut --nce_layers 0,4:
"""
"""60 option names of the official projects with what is right; nothing where a sentence says what takes their place."""
CASES = [
    (line, right.strip())
    for line, _, right in (f"{case} ".partition(": ") for case in TALLY.split("\n"))
    if right or line.strip()
]

RANDOM_WORDS = """
    banana river window giraffe cloud pencil mountain orange violin harbour lantern pepper carpet thunder meadow
    bicycle sugar planet velvet whisper castle dolphin engineer forest garden hammer island jungle kitchen ladder
    monkey needle ocean puzzle quartz rabbit saddle tunnel umbrella wagon
""".split()  # noqa: SIM905


def test_of_sixty_official_names_all_get_the_right_answer() -> None:
    assert len(CASES) == len(set(CASES)) == 60
    for line, right in CASES:
        (problem,) = problems(line)
        assert problem.is_unknown, line
        assert " ".join(problem.instead) == right, line
        if not right:
            assert len(problem.text) > len(f"there is no option {problem.option}: ") + 20, line


def test_of_forty_random_words_none_gets_a_suggestion() -> None:
    assert len(set(RANDOM_WORDS)) == 40
    for command in COMMANDS:
        for problem, word in zip(
            problems(" ".join([command, *(f"--{w}" for w in RANDOM_WORDS)])), RANDOM_WORDS, strict=True
        ):
            assert problem.text == f"there is no option --{word}"
            assert problem.instead == ()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_random_letters_are_like_no_option(command: Command) -> None:
    drawn = random.Random(0)
    flags = [one.flag for one in command.options if not one.declared.positional]
    for _ in range(200):
        word = "".join(drawn.choices(string.ascii_lowercase, k=drawn.randint(4, 12)))
        assert similar(word, flags) == [], word


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("lerning-rate", "learning-rate"),
        ("bach-size", "batch-size"),
        ("deivce", "device"),
        ("ouptut-channels", "output-channels"),
        ("step", "steps"),
        ("snapshot", "snapshot-every"),
        ("sede", "seed"),
    ],
)
def test_misspelt_names_are_like_the_right_one(name: str, right: str) -> None:
    flags = [flag for flag in COMMANDS["train"].options if not flag.declared.positional]
    assert similar(f"--{name}", [one.flag for one in flags])[0] == f"--{right}"
    assert 0.7 < LIKENESS < 0.9


BASE = """
    dataroot name gpu_ids checkpoints_dir model input_nc output_nc ngf ndf netD netG n_layers_D norm init_type
    init_gain no_dropout dataset_mode direction serial_batches num_threads batch_size load_size crop_size
    max_dataset_size preprocess no_flip display_winsize epoch load_iter verbose suffix use_wandb wandb_project_name
    display_freq display_ncols display_id display_server display_env display_port update_html_freq print_freq
    no_html save_latest_freq save_epoch_freq save_by_iter continue_train epoch_count phase n_epochs n_epochs_decay
    beta1 lr gan_mode pool_size lr_policy lr_decay_iters results_dir aspect_ratio eval num_test lambda_A lambda_B
    lambda_identity lambda_L1 model_suffix which_direction which_model_netG which_model_netD which_epoch loadSize
    fineSize batchSize nThreads niter niter_decay no_lsgan resize_or_crop how_many ntest identity
    display_single_pane_ncols nz nef num_Ds netD2 netE upsample use_dropout nl where_add conditional_D center_crop
    use_same_D lambda_GAN lambda_GAN2 lambda_z lambda_kl n_samples no_encode sync CUT_mode lambda_NCE nce_idt
    nce_layers nce_includes_all_negatives_from_minibatch netF netF_nc nce_T num_patches flip_equivariance easy_label
    normG normD no_antialias no_antialias_up random_scale_max stylegan2_G_num_downsampling evaluation_freq
    pretrained_name beta2 lambda_R1
"""


@pytest.mark.parametrize("command", ["train", "sample", "evaluate", "data check"])
def test_every_official_option_has_an_answer_under_every_command(command: str) -> None:
    own = {one.flag for one in COMMANDS[command].options}
    names = [name for name in BASE.split() if f"--{name}" not in own]
    found = problems(" ".join([command, *(f"--{name}" for name in names)]))
    assert [problem.option for problem in found] == [f"--{name}" for name in names]
    for problem in found:
        assert problem.is_unknown
        assert len(problem.text) > len(f"there is no option {problem.option}."), problem


@pytest.mark.parametrize("entry", other_names(), ids=lambda entry: f"{entry.project}-{entry.there[0]}")
def test_an_entry_names_options_that_exist(entry: OtherName) -> None:
    assert entry.here or entry.values or entry.note
    for way in entry.all_ways:
        assert way.options, way
        assert any(place.takes(way) for place in all_places()), way
        for name in way.commands:
            assert any(place.takes(way) for place in all_places() if place.command.name == name), (way, name)
    for value in (*entry.values, *entry.examples):
        ways = entry.ways(value)
        assert ways
        for place in all_places():
            way = next((way for way in ways if place.takes(way)), None)
            if way is not None and way.argument is None and place.method is not None:
                place.command.values(way.filled(value, {}, {"n_layers_D": "3", "num_Ds": "2", **entry.defaults}))
    for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", entry.note):
        assert option in FLAGS | OF_OTHERS, entry.note
    assert not entry.note.endswith(".")


def test_no_name_stands_twice() -> None:
    counts = Counter(key for entry in other_names() for key in {key_of(name) for name in entry.there})
    assert [key for key, count in counts.items() if count > 1] == []
    assert len(counts) > 1000
    for note in FAMILIES.values():
        assert all(option in FLAGS | OF_OTHERS for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", note)), note


def test_the_whole_command_is_said_where_all_names_are_known() -> None:
    line = "train --dataroot d --name x --checkpoints_dir y --model pix2pix --batchSize 4 --niter 50 --niter_decay 20"
    *single, whole = problems(f"{line} --seed 3 --no_flip --gpu_ids 0")
    assert len(single) == 9
    assert whole.text == (
        "all of it: tandem train d --out y/x --method pix2pix --batch-size 4 --lr-schedule linear "
        "--lr-constant-epochs 50 --lr-decay-epochs 20 --seed 3 --no-flip --device cuda:0"
    )
    assert train_main(["--print-config", *whole.instead]) == 0


def test_options_of_other_methods_and_commands_are_said_to_be_theirs() -> None:
    (problem,) = problems("train --lambda-cycle-a 10")
    assert problem.text == "--lambda-cycle-a is an option of cyclegan, not of tandem"
    assert problem.methods == ("cyclegan",)
    (problem,) = problems("train --lambda-cycle 10")
    assert problem.text.startswith(
        "there is no option --lambda-cycle: here it is --lambda-cycle-a 10 --lambda-cycle-b 10, an option of cyclegan,"
    )
    (problem,) = problems("train --lambda-cycel-a 10")
    assert problem.text.endswith("Did you mean --lambda-cycle-a, an option of cyclegan?")
    (problem,) = problems("sample --steps 3")
    assert problem.text == (
        "--steps is an option of 'tandem train', 'tandem bench quality' and 'tandem demo', not of 'tandem sample'"
    )
    assert problem.commands == ("train", "bench quality", "demo")
    (problem,) = problems("evaluate --snapshot_every 3")
    assert problem.text.startswith("--snapshot_every is --snapshot-every, an option of 'tandem train'")


def test_values_are_translated_where_the_option_has_our_name() -> None:
    assert value_here("--gan-loss", "vanilla") == "bce"
    (problem,) = problems("train --method bicyclegan --gan-loss vanilla")
    assert problem.text.endswith("not 'vanilla'. Did you mean bce?")
    (problem,) = problems("train --method bicyclegan --gan_mode layer")
    assert problem.text.startswith(
        "there is no option --gan_mode: here it is --gan-loss, one of lsgan, bce, hinge, wgangp,"
    )


def test_keys_of_files_get_the_same_answers(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    given: dict[str, Any] = {"lr": 0.1, "niter": 50, "no_flip": True, "wandb": True, "banana": 1, "lambda_A": 3}
    file.write_text("".join(f"{key}: {value}\n" for key, value in given.items()))
    found = problems(f"train --config {file}")
    assert [problem.given for problem in found] == list(given.values())
    start = "the configuration file has an unknown key"
    assert found[0].text == f"{start} 'lr'. Did you mean 'learning_rate: 0.1'?"
    assert "'lr_schedule: linear', 'lr_constant_epochs: 50', 'lr_decay_epochs: 100'" in found[1].text
    assert found[2].text == f"{start} 'no_flip'. Did you mean 'flip: false'?"
    assert "'log: wandb'" in found[3].text
    assert found[4].text == f"{start} 'banana'"
    assert "an option of cyclegan" in found[5].text


def test_prefixes_of_joligen_are_known() -> None:
    (problem,) = problems("train --alg_diffusion_task x")
    assert "no diffusion models" in problem.text
    assert find_name("alg_diffusion_task") is None
    assert RunConfig().objective.method in METHODS
