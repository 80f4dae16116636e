"""The option names of joliGEN that are not those of the projects it comes from, and what its families of names are for.

joliGEN puts a prefix before most names. Those of what Tandem does not do are known by their prefix alone.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tandem.config.names.entry import Listing, OtherName, at
from tandem.config.names.networks import discriminator, generator, schedule
from tandem.config.names.published import EPOCHS, PAGE

_NO_SEMANTICS = "there are no semantic losses, masks or labels: translations follow from images alone"
_NO_DIFFUSION = "there are no diffusion models: the methods are BicycleGAN, pix2pix, CycleGAN and CUT"
_NO_TRANSFORMER = "generators are U-Nets (BicycleGAN, pix2pix, CycleGAN) and residual networks (pix2pix, CycleGAN, CUT)"
_NO_PROJECTION = "discriminators are PatchGANs: --discriminator-layers, and --discriminator-scales of BicycleGAN"
_NO_AUGMENTATION = "images are resized, cropped (--preprocess) and flipped (--flip), nothing else"
_NO_TIME = "images are translated one by one, also those of a video ('tandem sample' takes one)"

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "alg_diffusion_": _NO_DIFFUSION,
        "alg_palette_": _NO_DIFFUSION,
        "alg_cm_": _NO_DIFFUSION,
        "alg_b2b_": _NO_DIFFUSION,
        "alg_re_": _NO_TIME,
        "alg_": "of joliGEN's methods Tandem has CycleGAN and CUT: --method cyclegan, cut or fastcut",
        "G_diff_": _NO_DIFFUSION,
        "G_unet_": _NO_TRANSFORMER,
        "G_uvit_": _NO_TRANSFORMER,
        "G_hdit_": _NO_TRANSFORMER,
        "G_hat_": _NO_TRANSFORMER,
        "G_vit_": _NO_TRANSFORMER,
        "G_attn_": _NO_TRANSFORMER,
        "G_stylegan2_": _NO_TRANSFORMER,
        "G_": "of joliGEN's generators Tandem has resnet and unet: --generator, --generator-blocks, --generator-depth",
        "D_proj_": _NO_PROJECTION,
        "D_vision_": _NO_PROJECTION,
        "D_temporal_": _NO_TIME,
        "D_": _NO_PROJECTION,
        "data_temporal_": _NO_TIME,
        "data_online_": "images are cropped with --preprocess; cut them out of larger ones before training",
        "data_": "a dataset is a folder of images, whose layout is detected",
        "dataaug_": _NO_AUGMENTATION,
        "f_s_": _NO_SEMANTICS,
        "cls_": _NO_SEMANTICS,
        "train_sem_": _NO_SEMANTICS,
        "train_semantic_": _NO_SEMANTICS,
        "train_mask_": _NO_SEMANTICS,
        "train_cls_": _NO_SEMANTICS,
        "train_temporal_": _NO_TIME,
        "train_mm_": "for many outputs of one input train BicycleGAN: --latent-dim and --lambda-z are its options",
        "train_": "'tandem train --help' has the options of training; this one of joliGEN has no counterpart",
        "output_display_": f"there is no visdom or aim: {PAGE}, and --log tensorboard,wandb writes for these",
        "output_": f"{PAGE}, and --log-every says how often its numbers are written",
        "model_": "networks are those of the published methods: 'tandem train --method NAME --help'",
        "test_": "'tandem evaluate' measures a model, 'tandem sample' translates with it; both have --split",
    }
)
"""What to say of any other name that begins so; the longest prefix counts."""

_JOLIGEN = Listing("joligen")


def joligen() -> Iterator[OtherName]:
    """All entries."""
    yield from _data_and_model()
    yield from _networks()
    yield from _algorithms()
    yield from _training()
    yield from _programs()


def _data_and_model() -> Iterator[OtherName]:
    yield _JOLIGEN.option(
        "model_type",
        "--method {}",
        values={
            "cut": at("train", "--method cut"),
            "cycle_gan": at("train, bench train", "--method cyclegan"),
        },
        only_known=True,
        note=_NO_DIFFUSION,
    )
    yield _JOLIGEN.option(
        "data_direction",
        "--direction {}",
        values={"AtoB": "--direction AtoB", "BtoA": "--direction BtoA"},
        only_known=True,
    )
    yield _JOLIGEN.option("data_load_size", "--load-size {}")
    yield _JOLIGEN.option("data_crop_size", "--size {}")
    yield _JOLIGEN.option("data_preprocess", "--preprocess {}")
    yield _JOLIGEN.option("data_num_threads", "--num-workers {}")
    yield _JOLIGEN.nothing(
        "data_serial_batches", "images are always drawn in a random order, which follows from --seed", takes_value=False
    )
    yield _JOLIGEN.nothing(
        "data_max_dataset_size",
        "all images are used; put those that you want into a folder of their own (links will do)",
    )
    yield _JOLIGEN.option(
        "dataaug_flip",
        "--flip",
        values={"horizontal": "--flip", "none": "--no-flip"},
        only_known=True,
        note="flips are horizontal",
    )
    yield _JOLIGEN.switch("dataaug_no_flip", "--no-flip")
    yield _JOLIGEN.nothing("dataaug_no_rotate", "images are never rotated", takes_value=False)
    yield _JOLIGEN.option("model_input_nc", "--input-channels {}")
    yield _JOLIGEN.option("model_output_nc", "--output-channels {}")
    yield _JOLIGEN.option(
        "model_init_type",
        "--init {}",
        values={"normal": "--init normal", "xavier": "--init xavier"},
        only_known=True,
        note="kaiming and orthogonal have no counterpart",
    )
    yield _JOLIGEN.option("model_init_gain", "--init-gain {}")
    yield _JOLIGEN.nothing(
        "model_multimodal",
        "for many outputs of one input train BicycleGAN on pairs: --method bicyclegan",
        takes_value=False,
    )


def _networks() -> Iterator[OtherName]:
    yield _JOLIGEN.option(
        "G_netG",
        "--generator {}",
        "--generator-blocks {}",
        read=_generator,
        examples="resnet unet_256",
        note=_NO_TRANSFORMER,
    )
    yield _JOLIGEN.option("G_nblocks", "--generator-blocks {}")
    yield _JOLIGEN.option("G_ngf", "--generator-filters {}")
    yield _JOLIGEN.option("G_norm", "--norm {}")
    yield _JOLIGEN.switch("G_dropout", "--dropout")
    yield _JOLIGEN.nothing(
        "G_spectral D_spectral",
        "the discriminators of --method tandem always have spectral normalisation, no other network has it",
    )
    yield _JOLIGEN.option(
        "D_netDs",
        "--discriminator {}",
        "--discriminator-layers {}",
        read=discriminator,
        examples="basic n_layers pixel",
        note=_NO_PROJECTION,
        defaults={"n_layers_D": "3", "num_Ds": "2"},
    )
    yield _JOLIGEN.option("D_n_layers", "--discriminator-layers {}")
    yield _JOLIGEN.option("D_ndf", "--discriminator-filters {}")
    yield _JOLIGEN.option("D_norm", "--norm {}", "--discriminator-norm {}")
    yield _JOLIGEN.switch("D_no_antialias D_no_antialias_up", "--no-antialias")


def _generator(name: str) -> tuple[str, ...]:
    return ("--generator resnet", "--generator-blocks 9") if name == "resnet" else generator(name)


def _algorithms() -> Iterator[OtherName]:
    yield _JOLIGEN.option("alg_gan_lambda", "--lambda-gan {}")
    yield _JOLIGEN.option("alg_cyclegan_lambda_A", "--lambda-cycle-a {}")
    yield _JOLIGEN.option("alg_cyclegan_lambda_B", "--lambda-cycle-b {}")
    yield _JOLIGEN.option("alg_cyclegan_lambda_identity", "--lambda-identity {}")
    yield _JOLIGEN.nothing("alg_cyclegan_rec_noise", "reconstructions get no noise")
    yield _JOLIGEN.option("alg_cut_lambda_GAN", "--lambda-gan {}")
    yield _JOLIGEN.option("alg_cut_lambda_NCE", "--lambda-nce {}")
    yield _JOLIGEN.switch("alg_cut_nce_idt", "--nce-identity")
    yield _JOLIGEN.option("alg_cut_nce_T", "--nce-temperature {}")
    yield _JOLIGEN.option("alg_cut_num_patches", "--nce-patches {}")
    yield _JOLIGEN.option("alg_cut_netF_nc", "--nce-filters {}")
    yield _JOLIGEN.switch("alg_cut_flip_equivariance", "--flip-equivariance")
    yield _JOLIGEN.nothing("alg_cut_nce_loss", "always patchnce; monce, joliGEN's default, and SRC_hDCE are not there")
    yield _JOLIGEN.nothing("alg_cut_netF", "the heads of PatchNCE are always those of mlp_sample")
    yield _JOLIGEN.nothing(
        "alg_cut_nce_layers", "always 0,4,8,12,16: the input, two down convolutions and two residual blocks"
    )
    yield _JOLIGEN.nothing(
        "alg_cut_nce_includes_all_negatives_from_minibatch", "negatives are the other patches of the same image"
    )


def _training() -> Iterator[OtherName]:
    yield _JOLIGEN.option(
        "train_batch_size", "--batch-size {}", note="the batch of one update; there it is multiplied by train_iter_size"
    )
    yield _JOLIGEN.option(
        "train_iter_size", "--accumulate {}", note="it splits --batch-size, which it does not enlarge"
    )
    yield _JOLIGEN.option(
        "train_n_epochs",
        "--lr-schedule linear --lr-constant-epochs {} --lr-decay-epochs {train_n_epochs_decay}",
        defaults={"train_n_epochs_decay": EPOCHS["n_epochs_decay"]},
    )
    yield _JOLIGEN.option(
        "train_n_epochs_decay",
        "--lr-schedule linear --lr-constant-epochs {train_n_epochs} --lr-decay-epochs {}",
        defaults={"train_n_epochs": EPOCHS["n_epochs"]},
    )
    yield _JOLIGEN.option(
        "train_lr_policy",
        "--lr-schedule {}",
        read=schedule,
        examples="linear cosine",
        note="step, plateau and multistep have no counterpart",
        defaults=EPOCHS,
    )
    yield _JOLIGEN.nothing(
        "train_lr_decay_iters train_lr_steps", "--lr-schedule linear and cosine count epochs, not steps"
    )
    yield _JOLIGEN.option("train_G_lr train_D_lr", "--learning-rate {}", note="one rate for all networks")
    yield _JOLIGEN.option("train_beta1", "--beta1 {}", note="0.5 by default as published; there 0.9")
    yield _JOLIGEN.option("train_beta2", "--beta2 {}")
    yield _JOLIGEN.nothing("train_optim train_optim_eps train_optim_weight_decay", "the optimiser is always Adam")
    yield _JOLIGEN.option(
        "train_gan_mode",
        "--gan-loss {}",
        values={"lsgan": "--gan-loss lsgan", "vanilla": "--gan-loss bce", "wgangp": "--gan-loss wgangp"},
        only_known=True,
        note="projected losses have no counterpart",
    )
    yield _JOLIGEN.option("train_pool_size", "--pool-size {}")
    yield _JOLIGEN.switch("train_G_ema", "--ema-halflife-images 10000", note="the default; 0 is off")
    yield _JOLIGEN.option(
        "train_G_ema_beta",
        "--ema-halflife-images HALFLIFE",
        read=_halflife,
        examples="0.999",
        note="a decay of β has the half-life ln 0.5 / ln β · batch size: 693 images for 0.999 and batch size 1",
    )
    yield _JOLIGEN.option("train_metrics_every", "--validate-every {}")
    yield _JOLIGEN.option(
        "train_metrics_list", "--validate-metrics {}", note="'tandem evaluate --help' has the metrics' names"
    )
    yield _JOLIGEN.switch("train_compute_metrics_test", "--validate-every 1000")
    yield _JOLIGEN.nothing(
        "train_continue",
        "the same command with the same --out goes on where the run stopped, and so does --resume RUN",
        takes_value=False,
    )
    yield _JOLIGEN.option("train_save_latest_freq train_save_epoch_freq", "--snapshot-every {}", note="in steps")
    yield _JOLIGEN.nothing(
        "train_finetune",
        "--init-from RUN starts a run from the weights of another one, --freeze leaves networks as they are",
        takes_value=False,
    )
    yield _JOLIGEN.nothing("train_save_by_iter", "checkpoints are named by their step", takes_value=False)
    yield _JOLIGEN.nothing(
        "train_epoch train_epoch_count train_load_iter",
        "a run knows its step: the same command with the same --out goes on",
    )
    yield _JOLIGEN.nothing(
        "train_export_jit",
        "'tandem export' writes a model of a checkpoint; 'tandem export --to onnx' one that runs without PyTorch",
        takes_value=False,
    )
    yield _JOLIGEN.nothing(
        "train_compute_D_accuracy train_D_accuracy_every", "the log has the discriminators' losses for real and fake"
    )


def _halflife(decay: str) -> tuple[str, ...]:
    import math  # noqa: PLC0415  (start-up time)

    try:
        beta = float(decay)
    except ValueError:
        return ()
    if not 0 < beta < 1:
        return ("--ema-halflife-images 0",) if beta == 0 else ()
    return (f"--ema-halflife-images {max(1, round(math.log(0.5) / math.log(beta)))}",)


def _programs() -> Iterator[OtherName]:
    yield _JOLIGEN.option("output_print_freq", "--log-every {}")
    yield _JOLIGEN.option("output_display_freq output_update_html_freq", "--snapshot-every {}", note=PAGE)
    yield _JOLIGEN.nothing("output_no_html", f"{PAGE}; it is always written", takes_value=False)
    yield _JOLIGEN.switch("with_amp", "--precision bf16", note="or --precision fp16")
    yield _JOLIGEN.switch("with_torch_compile", at("train, bench train", "--acceleration compile"), "--compile")
    yield _JOLIGEN.nothing("with_tf32", "float32 products run in TF32 where the GPU has it", takes_value=False)
    yield _JOLIGEN.option("config_json", "--config {}", note="in YAML; 'tandem train --print-config' writes one")
    yield _JOLIGEN.option(
        "model_in_file", at("sample, evaluate", "<MODEL> {}"), note="a run, or the folder of a model bundle"
    )
    yield _JOLIGEN.option("img_in dir_in video_in", at("sample", "<INPUTS> {}"))
    yield _JOLIGEN.option("img_out dir_out video_out", at("sample", "--out {}"))
    yield _JOLIGEN.option(
        "img_width img_height",
        "--size {}",
        note="a sampled output has the size of its input; --fit says how the network gets it",
    )
    yield _JOLIGEN.option("nb_samples", at("sample, evaluate", "--num-samples {}"))
    yield _JOLIGEN.nothing(
        "ddp_port", "torchrun starts several processes and connects them, and has an option for their port"
    )
    yield _JOLIGEN.nothing("warning_mode", "warnings are always shown", takes_value=False)
