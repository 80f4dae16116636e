"""The option names of the official repositories: pix2pix and CycleGAN (one repository), BicycleGAN, CUT.

Names that later versions have changed stand behind today's. What a project shares with the first is listed there once.
"""

from collections.abc import Iterator

from tandem.config.names.entry import Listing, OtherName, at
from tandem.config.names.networks import device, discriminator, encoder, generator, schedule

MODELS = {
    "cycle_gan": at("train, bench train", "--method cyclegan"),
    "pix2pix": at("train, bench train", "--method pix2pix"),
    "bicycle_gan": at("train, bench train", "--method bicyclegan"),
    "cut": at("train", "--method cut"),
    "fastcut": at("train", "--method fastcut"),
}
GAN_LOSSES = {
    "lsgan": "--gan-loss lsgan",
    "vanilla": "--gan-loss bce",
    "nonsaturating": "--gan-loss bce",
    "hinge": "--gan-loss hinge",
    "wgangp": ("--gan-loss wgangp --lambda-gp 0",),
}
NORMS = {name: f"--norm {name}" for name in ("instance", "batch", "none")}
EPOCHS = {"n_epochs": "100", "n_epochs_decay": "100"}
SNAPSHOTS = "it counts steps: images of an epoch / batch size × epochs"
PAGE = "the run writes index.html, a page without a server"
SEVERAL_GPUS = "several GPUs: torchrun --nproc-per-node 2 -m tandem train …"
AUGMENTATION = (
    "images are resized, cropped (--preprocess) and flipped (--flip), nothing else; --diffaugment augments what "
    "discriminators see"
)


def published() -> Iterator[OtherName]:
    """All entries."""
    yield from _places()
    yield from _data()
    yield from _networks()
    yield from _training()
    yield from _watching()
    yield from _testing()
    yield from _bicyclegan()
    yield from _cut()


_PIX2PIX = Listing("pix2pix")


def _places() -> Iterator[OtherName]:
    yield _PIX2PIX.option(
        "dataroot", at("sample", "<INPUTS> {}"), "<DATA> {}", note="a folder is named without an option before it"
    )
    yield _PIX2PIX.option(
        "name",
        at("train", "--out {checkpoints_dir}/{}"),
        at("sample, evaluate", "<MODEL> {checkpoints_dir}/{}"),
        "<RUN> {checkpoints_dir}/{}",
        "--out {}",
        note="a run is a folder",
        defaults={"checkpoints_dir": "runs"},
    )
    yield _PIX2PIX.option(
        "checkpoints_dir",
        at("train", "--out {}/{name}"),
        at("sample, evaluate", "<MODEL> {}/{name}"),
        "<RUN> {}/{name}",
        "--out {}",
        note="a run is a folder",
        defaults={"name": "NAME"},
    )
    yield _PIX2PIX.nothing(
        "suffix template", "the folder of the run is --out; give it the name that the suffix would have made"
    )
    yield _PIX2PIX.option(
        "model",
        at("train, bench train", "--method {}"),
        at("sample, evaluate", "<MODEL> RUN"),
        values=MODELS,
        only_known=True,
        note="a model is loaded as it was trained; only training chooses the method",
    )
    yield _PIX2PIX.option(
        "gpu_ids gpu gpus gpu_id", "--device cuda:{}", read=device, examples="0 -1", note=SEVERAL_GPUS
    )
    yield _PIX2PIX.nothing(
        "phase", "splits are the folders train, val and test; sampling and evaluating choose one with --split"
    )
    yield _PIX2PIX.nothing(
        "dataset_mode", "the layout of a dataset is detected: pairs or two domains, as the method needs"
    )


def _data() -> Iterator[OtherName]:
    yield _PIX2PIX.option(
        "direction which_direction",
        "--direction {}",
        values={"AtoB": "--direction AtoB", "BtoA": "--direction BtoA"},
        only_known=True,
    )
    yield _PIX2PIX.option("input_nc", "--input-channels {}")
    yield _PIX2PIX.option("output_nc", "--output-channels {}")
    yield _PIX2PIX.option("load_size loadSize", "--load-size {}", note="--size has to be at most as large")
    yield _PIX2PIX.option("crop_size fineSize", "--size {}")
    yield _PIX2PIX.option(
        "preprocess resize_or_crop",
        "--preprocess {}",
        values={
            name: f"--preprocess {name}"
            for name in ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")
        },
        only_known=True,
        note="the same names",
    )
    yield _PIX2PIX.switch("no_flip", "--no-flip")
    yield _PIX2PIX.option("batch_size batchSize", "--batch-size {}", note="the batch of all GPUs together")
    yield _PIX2PIX.option("num_threads nThreads", "--num-workers {}")
    yield _PIX2PIX.nothing(
        "serial_batches", "images are always drawn in a random order, which follows from --seed", takes_value=False
    )
    yield _PIX2PIX.nothing(
        "max_dataset_size", "all images are used; put those that you want into a folder of their own (links will do)"
    )


def _networks() -> Iterator[OtherName]:
    yield _PIX2PIX.option(
        "netG which_model_netG",
        "--generator {}",
        "--generator-blocks {}",
        read=generator,
        examples="unet_128 unet_256 resnet_6blocks resnet_9blocks",
        note="a level for every halving of the size in the name",
    )
    yield _PIX2PIX.option("ngf", "--generator-filters {}", "--filters {}")
    yield _PIX2PIX.option(
        "netD which_model_netD",
        "--discriminator {}",
        "--discriminator-layers {}",
        read=discriminator,
        examples="basic n_layers pixel basic_128_multi basic_256",
        defaults={"n_layers_D": "3", "num_Ds": "2"},
    )
    yield _PIX2PIX.option("n_layers_D", "--discriminator-layers {}")
    yield _PIX2PIX.option("ndf", "--discriminator-filters {}", "--filters {}")
    yield _PIX2PIX.option("norm", "--norm {}", values=NORMS, only_known=True)
    yield _PIX2PIX.switch("no_dropout", "--no-dropout", note="pix2pix has dropout on, CycleGAN off")
    yield _PIX2PIX.option(
        "init_type",
        "--init {}",
        values={"normal": "--init normal", "xavier": "--init xavier"},
        only_known=True,
        note="kaiming and orthogonal have no counterpart",
    )
    yield _PIX2PIX.option("init_gain", "--init-gain {}")


def _training() -> Iterator[OtherName]:
    yield _PIX2PIX.option(
        "gan_mode",
        "--gan-loss {}",
        values=GAN_LOSSES,
        only_known=True,
        note="the official steps of BicycleGAN and CUT have no gradient penalty",
    )
    yield _PIX2PIX.switch("no_lsgan", "--gan-loss bce")
    yield _PIX2PIX.option("lambda_L1", "--lambda-l1 {}")
    yield _PIX2PIX.option("lambda_A", "--lambda-cycle-a {}")
    yield _PIX2PIX.option("lambda_B", "--lambda-cycle-b {}")
    yield _PIX2PIX.option(
        "lambda_identity identity", "--lambda-identity {}", note="for CUT, --nce-identity is the term of that kind"
    )
    yield _PIX2PIX.option("pool_size", "--pool-size {}")
    yield _PIX2PIX.option("lr", "--learning-rate {}")
    yield _PIX2PIX.option("beta1", "--beta1 {}")
    yield _PIX2PIX.option(
        "lr_policy",
        "--lr-schedule {}",
        read=schedule,
        examples="linear cosine",
        note="step and plateau have no counterpart",
        defaults=EPOCHS,
    )
    yield _PIX2PIX.option(
        "n_epochs niter",
        "--lr-schedule linear --lr-constant-epochs {} --lr-decay-epochs {n_epochs_decay}",
        note="the run then ends with the decay; --epochs alone is a run at a constant rate",
        defaults=EPOCHS,
    )
    yield _PIX2PIX.option(
        "n_epochs_decay niter_decay",
        "--lr-schedule linear --lr-constant-epochs {n_epochs} --lr-decay-epochs {}",
        defaults=EPOCHS,
    )
    yield _PIX2PIX.nothing(
        "lr_decay_iters", "there is no schedule in steps: --lr-schedule linear and cosine count epochs"
    )
    yield _PIX2PIX.nothing(
        "continue_train",
        "the same command with the same --out goes on where the run stopped, and so does --resume RUN",
        takes_value=False,
    )
    yield _PIX2PIX.nothing(
        "epoch_count", "a run knows its step: the same command with the same --out goes on, and so does --resume RUN"
    )
    yield _PIX2PIX.option(
        "epoch which_epoch",
        at("export", "--checkpoint {}"),
        values={"latest": at("export", "--checkpoint last")},
        note="the checkpoint that a model is made of: best, last, or the number of a step, not of an epoch",
    )
    yield _PIX2PIX.option(
        "load_iter",
        at("export", "--checkpoint {}"),
        note="a model is made of a checkpoint with 'tandem export RUN --checkpoint STEP'",
    )


def _watching() -> Iterator[OtherName]:
    yield _PIX2PIX.option("save_epoch_freq", "--snapshot-every {}", note=SNAPSHOTS)
    yield _PIX2PIX.option("save_latest_freq", "--snapshot-every {}", note="it counts steps, the official one images")
    yield _PIX2PIX.option("print_freq", "--log-every {}", note="it counts steps, the official one images")
    yield _PIX2PIX.option("display_freq", "--snapshot-every {}", note=f"pictures are made at snapshots; {PAGE}")
    yield _PIX2PIX.option("update_html_freq", "--snapshot-every {}", note=f"pictures are made at snapshots; {PAGE}")
    yield _PIX2PIX.nothing(
        "save_by_iter", "checkpoints are named by their step, and --keep-last says how many stay", takes_value=False
    )
    yield _PIX2PIX.nothing(
        "display_id display_server display_env display_port display_ncols display_winsize display_single_pane_ncols",
        f"there is no visdom: {PAGE}, and --log tensorboard,wandb writes for these",
    )
    yield _PIX2PIX.nothing("no_html", f"{PAGE}; it is always written", takes_value=False)
    yield _PIX2PIX.switch("use_wandb wandb", "--log wandb")
    yield _PIX2PIX.option(
        "wandb_project_name wandb_project", "--log wandb", note="the variable WANDB_PROJECT names the project"
    )
    yield _PIX2PIX.nothing(
        "verbose", "what is trained stands in the log, in config.yaml of the run, and on its page", takes_value=False
    )


def _testing() -> Iterator[OtherName]:
    yield _PIX2PIX.option("results_dir", at("sample, evaluate, train, demo", "--out {}"))
    yield _PIX2PIX.nothing(
        "num_test ntest how_many",
        "everything that is named is translated; name the files that you want, or a folder with fewer",
    )
    yield _PIX2PIX.option(
        "aspect_ratio", at("sample", "--fit pad"), note="outputs have the size of their input, whatever its aspect"
    )
    yield _PIX2PIX.switch(
        "eval",
        at("train", "--no-test-noise"),
        note="whether pix2pix keeps dropout and batch statistics on is decided when it is trained",
    )
    yield _PIX2PIX.nothing(
        "model_suffix", "a model that translates both ways is asked for one with --direction AtoB or BtoA"
    )
    yield _PIX2PIX.nothing(
        "fold_A fold_B fold_AB", "A and B need not be joined: two folders trainA and trainB are a dataset as they are"
    )


_BICYCLEGAN = Listing("bicyclegan")


def _bicyclegan() -> Iterator[OtherName]:
    yield _BICYCLEGAN.option("nz", "--latent-dim {}")
    yield _BICYCLEGAN.option("nef", "--encoder-filters {}")
    yield _BICYCLEGAN.option("where_add", "--injection {}", note="the same names: input, all")
    yield _BICYCLEGAN.option(
        "upsample",
        "--upsampling {}",
        values={"basic": "--upsampling transposed", "bilinear": "--upsampling bilinear"},
        only_known=True,
    )
    yield _BICYCLEGAN.option(
        "nl",
        "--activation {}",
        values={name: f"--activation {name}" for name in ("relu", "lrelu", "elu")},
        only_known=True,
    )
    yield _BICYCLEGAN.switch("use_dropout", "--dropout")
    yield _BICYCLEGAN.option(
        "netE which_model_netE",
        "--encoder {}",
        read=encoder,
        examples="resnet_128 resnet_256 conv_128 conv_256",
        note="depth 4 for 128 px, 5 for 256 px",
    )
    yield _BICYCLEGAN.option(
        "netD2 which_model_netD2",
        "--discriminator-layers {}",
        read=discriminator,
        examples="basic_256_multi",
        note="both discriminators are built alike",
        defaults={"num_Ds": "2"},
    )
    yield _BICYCLEGAN.option("num_Ds num_D", "--discriminator-scales {}")
    yield _BICYCLEGAN.switch("conditional_D", "--conditional")
    yield _BICYCLEGAN.switch("use_same_D", "--shared-discriminator")
    yield _BICYCLEGAN.option("lambda_GAN", "--lambda-gan {}")
    yield _BICYCLEGAN.option("lambda_GAN2", "--lambda-gan2 {}")
    yield _BICYCLEGAN.option("lambda_z", "--lambda-z {}")
    yield _BICYCLEGAN.option("lambda_kl", "--lambda-kl {}")
    yield _BICYCLEGAN.nothing("use_L2", "the reconstruction is compared by L1: --lambda-l1", takes_value=False)
    yield _BICYCLEGAN.option("n_samples", "--num-samples {}")
    yield _BICYCLEGAN.nothing(
        "sync", "every input of a sampling gets the same latents already, those of --seed", takes_value=False
    )
    yield _BICYCLEGAN.switch("no_encode", at("sample", "--mode random"), note="the default; --mode encode encodes")
    yield _BICYCLEGAN.nothing(
        "center_crop", f"{AUGMENTATION}; sampling keeps the whole image (--fit)", takes_value=False
    )
    yield _BICYCLEGAN.option(
        "num_frames", at("sample", "--mode interpolate --num-samples {}"), note="frames between latents"
    )
    yield _BICYCLEGAN.nothing("align_mode", "the page of a sampling shows input, ground truth and samples in rows")
    yield _BICYCLEGAN.nothing(
        "isTrain", "there is a command for each: 'tandem train', 'tandem sample'", takes_value=False
    )


_CUT = Listing("cut")


def _cut() -> Iterator[OtherName]:
    yield _CUT.option(
        "CUT_mode",
        at("train", "--method {}"),
        values={
            "CUT": at("train", "--method cut"),
            "cut": at("train", "--method cut"),
            "FastCUT": at("train", "--method fastcut"),
            "fastcut": at("train", "--method fastcut"),
        },
        only_known=True,
    )
    yield _CUT.option("lambda_NCE", "--lambda-nce {}")
    yield _CUT.option("nce_idt", "--nce-identity", values={"true": "--nce-identity", "false": "--no-nce-identity"})
    yield _CUT.option("nce_T", "--nce-temperature {}")
    yield _CUT.option("num_patches", "--nce-patches {}")
    yield _CUT.option("netF_nc", "--nce-filters {}")
    yield _CUT.option(
        "flip_equivariance",
        "--flip-equivariance",
        values={"true": "--flip-equivariance", "false": "--no-flip-equivariance"},
    )
    yield _CUT.nothing("netF", "the heads of PatchNCE are always those of mlp_sample; --nce-filters is their width")
    yield _CUT.nothing("nce_layers", "always 0,4,8,12,16: the input, two down convolutions and two residual blocks")
    yield _CUT.nothing("nce_includes_all_negatives_from_minibatch", "negatives are the other patches of the same image")
    yield _CUT.switch("no_antialias no_antialias_up", "--no-antialias", note="for down- and upsampling together")
    yield _CUT.option("normG normD", "--norm {}", values=NORMS, only_known=True, note="for both networks")
    yield _CUT.option("beta2", "--beta2 {}")
    yield _CUT.nothing("easy_label", "the folder of the run, --out, is its label", takes_value=True)
    yield _CUT.nothing(
        "random_scale_max", "--preprocess has no random scale; --load-size above --size and crops vary images"
    )
    yield _CUT.nothing("stylegan2_G_num_downsampling", "there are no StyleGAN2 networks: the residual generator alone")
    yield _CUT.option("evaluation_freq", "--validate-every {}", note="in steps; its numbers are --validate-metrics")
    yield _CUT.option(
        "pretrained_name", at("train", "--init-from {}"), note="the folder of a run or of a model, e.g. runs/NAME"
    )
    yield _CUT.nothing("lambda_R1", "there is no R1 penalty: --gan-loss lsgan, bce and hinge do without one")
