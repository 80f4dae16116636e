"""Option names of trainers of other kinds: Hugging Face, Lightning, timm, StyleGAN, and reimplementations of GANs.

Among them are the abbreviations that people type without looking anything up.
"""

from collections.abc import Iterator

from tandem.config.names.entry import Listing, OtherName, at
from tandem.config.names.networks import device
from tandem.config.names.published import AUGMENTATION, SEVERAL_GPUS

_TRAINERS = Listing("trainers")
_CONTINUES = "the same command with the same --out goes on where the run stopped"
_ADAM = "the optimiser is always Adam: --learning-rate, --beta1 and --beta2 are its options"
_NO_CAP = "all images are used; put those that you want into a folder of their own (links will do)"
_LOGGERS = "wandb and csv are others"
_SAMPLES = at("sample, evaluate", "--num-samples {}")
_COMPILE = at("train, bench train", "--acceleration compile")


def trainers() -> Iterator[OtherName]:
    """All entries."""
    yield from _places()
    yield from _data()
    yield from _length()
    yield from _optimiser()
    yield from _hardware()
    yield from _writing()
    yield from _networks_and_losses()
    yield from _sampling()


def _places() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "data data_dir data_path dataset dataset_dir dataset_name dataset_path dataset_root root root_dir"
        " train_data_dir train_dir train_data instance_data_dir image_dir img_dir source src",
        at("sample", "<INPUTS> {}"),
        "<DATA> {}",
        note="a folder is named without an option before it",
    )
    yield _TRAINERS.option(
        "data_b dataroot_b domain_b target_dir root_b",
        "<DATA_B> {}",
        note="for methods on unpaired data; the folder of domain B follows that of A",
    )
    yield _TRAINERS.option("data_a dataroot_a domain_a root_a", at("sample", "<INPUTS> {}"), "<DATA> {}")
    yield _TRAINERS.option(
        "input input_dir input_path input_image image images_dir image_path img img_path infile file files input_file",
        at("sample", "<INPUTS> {}"),
        "<DATA> {}",
    )
    yield _TRAINERS.option(
        "output output_dir output_path outdir output_folder outfile output_file outpath logdir logging_dir save_dir"
        " save_path save result_dir result_path results work_dir run_dir run_name exp_name exp_dir experiment"
        " experiment_name exp project project_name run_id default_root_dir model_save_dir sample_dir checkpoint_dir"
        " ckpt_dir ckpts_dir model_dir save_folder target log_path tag desc version",
        "--out {}",
        note="a run is a folder, and everything that it writes lies in it",
    )
    yield _TRAINERS.option("cfg config_file conf config_path hparams params yaml args_file", "--config {}")
    yield _TRAINERS.option("recipe", "--preset {}", note="'tandem presets' lists them")
    yield _TRAINERS.option(
        "algorithm algo arch architecture trainer gan_type model_name net network",
        "--method {}",
        at("sample, evaluate", "<MODEL> {}"),
        "<RUN> {}",
        note="bicyclegan, pix2pix, cyclegan or cut; networks are options of a method",
    )
    yield _TRAINERS.option(
        "model_path model_file model_id ckpt ckpt_path checkpoint_path model_checkpoint run model_weights"
        " weights_path network_pkl network_path pkl pretrained_model_path model_name_or_path model_folder",
        at("sample, evaluate", "<MODEL> {}"),
        at("export, timeline", "<RUN> {}"),
        at("train", "--init-from {}"),
        note="a run, or the folder of a model bundle",
    )
    yield _TRAINERS.option(
        "pretrained load_model_path last_ckpt pretrain pretrained_model load load_model load_weights load_from"
        " load_checkpoint finetune finetune_from init_checkpoint initial_checkpoint warm_start transfer"
        " load_pretrain transfer_learning G_weights D_weights pretrained_path pretrained_model_name_or_path"
        " checkpoint_model",
        at("train", "--init-from {}"),
        note="a run, one of its checkpoints or a model, as far as its weights fit; --resume RUN goes on with a run",
    )
    yield _TRAINERS.option(
        "freeze_layers frozen_layers freeze_modules freeze_weights freezed freeze_d freeze_g freeze_generator frozen"
        " freeze_discriminator freeze_encoder freeze_net freeze_backbone trainable freeze_network",
        at("train", "--freeze {}"),
        note="networks and parts of them, e.g. encoder,generator.down.0-3",
    )
    yield _TRAINERS.option(
        "resume_from resume_from_checkpoint resume_path resume_iters resume_training auto_resume restart start_epoch"
        " initial_epoch start_step start_iter continue cont continue_training continue_from overwrite_output_dir"
        " resume_run last_epoch",
        at("train", "--resume {}"),
        note=f"the folder of the run; {_CONTINUES}, too",
    )


def _data() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "image_size in_size img_size imsize imsz input_size input_shape resolution res crop resize patch_size"
        " train_size side width height image_height image_width crop_width crop_height random_crop crop_image_height"
        " crop_image_width new_size train_crop_size img_dim",
        "--size {}",
        note="a side in pixels, or HEIGHTxWIDTH",
    )
    yield _TRAINERS.option("resize_size scale_size load_width load_height", "--load-size {}")
    yield _TRAINERS.option(
        "channels in_channels num_channels input_channel in_ch in_nc input_dim input_dim_a n_channels in_chans"
        " img_channels image_channels nc inputs_channels c_in ch_in",
        "--input-channels {}",
        note="--output-channels are those of the other image",
    )
    yield _TRAINERS.option(
        "out_channels output_channel out_ch out_nc output_dim input_dim_b c_out ch_out", "--output-channels {}"
    )
    yield _TRAINERS.switch(
        "gray grey grayscale greyscale", "--input-channels 1", note="--output-channels 1 for outputs"
    )
    yield _TRAINERS.switch("rgba alpha", "--input-channels 4", note="--output-channels 4 for outputs")
    yield _TRAINERS.switch("hflip horizontal_flip random_flip random_horizontal_flip mirror x_flip flip_lr", "--flip")
    yield _TRAINERS.switch("no_hflip no_mirror", "--no-flip")
    yield _TRAINERS.nothing(
        "aug aa crop_type augment augmentation augmentations augpipe aug_prob color_jitter jitter rotate rotation"
        " vflip vertical_flip crop_pct interpolation center_crop_size mixup cutmix cutout random_erasing"
        " random_rotate brightness contrast data_augmentation use_augmentation aug_p ada",
        AUGMENTATION,
    )
    yield _TRAINERS.option("diffaug diff_augment diff_aug", "--diffaugment {}", note="what discriminators see alone")
    yield _TRAINERS.switch("btoa b2a reverse reversed ", "--direction BtoA")
    yield _TRAINERS.switch("atob a2b", "--direction AtoB")
    yield _TRAINERS.switch(
        "side_by_side paired aligned is_pair is_paired",
        at("sample", "--pairs"),
        note="of a dataset the layout is detected, and the method says whether it takes pairs",
    )
    yield _TRAINERS.switch(
        "unaligned two_domains is_unpaired",
        "--unpaired",
        note="of a dataset the layout is detected, and the method says whether it takes pairs",
    )
    yield _TRAINERS.nothing(
        "subset limit limit_train_batches max_train_samples max_samples max_images num_images max_dataset n_images"
        " max_eval_samples overfit_batches num_samples_per_epoch",
        _NO_CAP,
    )
    yield _TRAINERS.nothing(
        "val_split test_split train_split val_ratio test_ratio split_ratio validation_split test_size val_size"
        " validation_split_percentage validation_data_dir val_dir test_dir val_data val_path test_path valid",
        "splits are folders train, val and test of the dataset",
    )
    yield _TRAINERS.switch("shuffle_data no_shuffle", "--shuffle all")
    yield _TRAINERS.option(
        "cache cache_images cache_dataset preload in_memory cache_size",
        "--decoded-gb {}",
        "--cache-gb {}",
        "--cache {}",
        note="10**9 bytes of memory in which images stay decoded; by default a quarter of what is free",
    )


def _length() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "epoch_num num_epochs num_epoch n_epoch max_epochs max_epoch num_train_epochs total_epochs train_epochs"
        " epochs_num ep num_training_epochs niters_epochs",
        "--epochs {}",
    )
    yield _TRAINERS.option(
        "iters iterations iteration num_iters num_iter num_iterations n_iters max_iter max_iters max_iteration"
        " max_iterations max_steps max_train_steps num_steps num_training_steps total_iters total_steps train_steps"
        " num_train_steps n_steps train_iters training_steps total_iter train_num_steps",
        "--steps {}",
    )
    yield _TRAINERS.nothing(
        "kimg total_kimg total_nimg num_images_total",
        "--steps is the length in steps (images / --batch-size), --epochs that in passes over the data",
    )
    yield _TRAINERS.option(
        "bs batch bsize bsz minibatch minibatch_size per_device_train_batch_size train_batch batchsz"
        " per_gpu_train_batch_size per_gpu_batch_size samples_per_gpu imgs_per_gpu images_per_gpu batch_gpu"
        " per_device_eval_batch_size eval_batch_size val_batch_size test_batch_size auto_scale_batch_size"
        " device_batch_size global_batch_size total_batch_size batch_num n_batch num_batch",
        "--batch-size {}",
        note="the batch of all GPUs together",
    )
    yield _TRAINERS.option(
        "gradient_accumulation_steps grad_accum_steps accumulate_grad_batches grad_accum grad_accumulation"
        " gradient_accumulation grad_acc accum_iter accum accumulation_steps gradient_accumulate_every accum_steps"
        " acc_steps num_accumulate update_freq",
        "--accumulate {}",
        note="it splits --batch-size, which it does not enlarge",
    )
    yield _TRAINERS.option("random_seed rng_seed seed_everything manual_seed rnd_seed torch_seed", "--seed {}")
    yield _TRAINERS.option(
        "early_stopping early_stop early_stopping_patience",
        "--patience {}",
        note="it counts validations, so --validate-every says how long they are apart",
    )
    yield _TRAINERS.option(
        "decay_epoch decay_start epoch_decay decay_start_epoch decay_after constant_epochs epochs_constant",
        "--lr-schedule linear --lr-constant-epochs {} --lr-decay-epochs 100",
        note="the epochs at the full rate, then those of the decay",
    )
    yield _TRAINERS.option(
        "decay_epochs epochs_decay num_iters_decay lr_decay lr_decay_epoch",
        "--lr-schedule linear --lr-constant-epochs 100 --lr-decay-epochs {}",
        note="in epochs",
    )


def _optimiser() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "learningrate alpha_lr base_lr blr init_lr initial_lr start_lr lr_init lr0 lrate rate peak_lr max_lr lr_g"
        " lr_d g_lr d_lr lr_gen lr_disc generator_lr discriminator_lr gen_lr disc_lr lr_generator lr_discriminator"
        " lr_enc lr_E lr_b unet_lr lr_rate optimizer_lr lr1",
        "--learning-rate {}",
        note="one rate for all networks",
    )
    yield _TRAINERS.option("b1 adam_beta1 adam_b1 momentum beta", "--beta1 {}")
    yield _TRAINERS.option("b2 adam_beta2 adam_b2", "--beta2 {}")
    yield _TRAINERS.option(
        "betas adam_betas opt_betas", "--beta1 0.5 --beta2 0.999", note="each is an option of its own"
    )
    yield _TRAINERS.nothing(
        "optimizer optimiser optim opt weight_decay wd adam_epsilon adam_weight_decay epsilon eps use_8bit_adam"
        " nesterov optimizer_type adam sgd rmsprop adamw decay adam_eps opt_eps",
        _ADAM,
    )
    yield _TRAINERS.nothing(
        "n_critic critic_iters d_steps n_dis num_critic disc_iters d_iters critic_steps ttur n_disc",
        "each step updates every network once, as published",
    )
    yield _TRAINERS.option(
        "lr_scheduler lr_scheduler_type scheduler sched schedule lr_sched lrschedule decay_type lr_mode",
        "--lr-schedule {}",
        values={
            "constant": "--lr-schedule constant",
            "linear": "--lr-schedule linear --lr-constant-epochs 100 --lr-decay-epochs 100",
            "cosine": "--lr-schedule cosine --lr-constant-epochs 100 --lr-decay-epochs 100",
        },
        only_known=True,
        note="with --lr-constant-epochs and --lr-decay-epochs",
    )
    yield _TRAINERS.nothing(
        "warmup warmup_epochs warmup_ratio warmup_lr min_lr"
        " warmup_proportion lr_min lr_warmup_epochs cooldown_epochs decay_rate step_size gamma_lr lr_step lr_steps"
        " lr_gamma milestones lr_update_step lr_decay_rate lr_decay_steps lr_decay_factor lr_drop lrf",
        "--lr-schedule, --lr-constant-epochs and --lr-decay-epochs shape the rate, --lr-warmup-steps its rise",
    )
    yield _TRAINERS.option("warmup_steps lr_warmup num_warmup_steps", "--lr-warmup-steps {}")
    yield _TRAINERS.option(
        "clip clip_grad grad_clip gradient_clip gradient_clip_val max_grad_norm grad_norm clip_norm grad_clip_norm"
        " gradient_clipping clip_value max_norm clip_gradients clip_gradient",
        "--clip-grad-norm {}",
    )
    yield _TRAINERS.option(
        "ema use_ema ema_decay ema_kimg ema_rate model_ema model_ema_decay ema_beta ema_halflife moving_average"
        " ema_rampup averaging ema_steps",
        "--ema-halflife-images 10000",
        note="the half-life in images, the default; 0 is off",
    )
    yield _TRAINERS.switch("no_ema disable_ema", "--ema-halflife-images 0")
    yield _TRAINERS.option(
        "label_smoothing smoothing smooth one_sided_label_smoothing", "--gan-loss lsgan", note="labels are not smoothed"
    )


def _hardware() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "cuda_device device_id devices gpu_num gpu_index gpu_list cuda_visible_devices cuda_id device_ids gpu_device"
        " dev",
        "--device cuda:{}",
        read=device,
        examples="0",
        note=SEVERAL_GPUS,
    )
    yield _TRAINERS.switch("cuda use_cuda use_gpu use_gpus on_gpu enable_cuda", "--device cuda")
    yield _TRAINERS.switch("cpu no_cuda no_gpu use_cpu cpu_only force_cpu disable_cuda", "--device cpu")
    yield _TRAINERS.switch("mps use_mps use_mps_device ", "--device mps")
    yield _TRAINERS.option(
        "accelerator",
        "--device {}",
        values={
            "cpu": "--device cpu",
            "gpu": "--device cuda",
            "cuda": "--device cuda",
            "mps": "--device mps",
            "auto": "--device auto",
        },
        only_known=True,
    )
    yield _TRAINERS.nothing(
        "ngpu dist_bn ngpus num_gpus nproc nproc_per_node num_processes num_nodes nnodes strategy ddp distributed"
        " multi_gpu local_rank rank world_size master_port master_addr dist_url dist_backend node_rank num_devices"
        " gpus_per_node multiprocessing_distributed use_ddp data_parallel parallel n_devices launcher sync_bn"
        " sync_bn_norm sync_batchnorm fsdp deepspeed num_machines machine_rank tpu_cores dist backend ddp_backend",
        SEVERAL_GPUS,
    )
    yield _TRAINERS.option(
        "workers cpu_count num_worker nworkers n_cpu dataloader_num_workers loader_workers nw jobs n_jobs num_cpu"
        " num_proc preprocessing_num_workers data_workers workers_per_gpu worker dataloader_workers num_data_workers"
        " dataset_workers nthread",
        "--num-workers {}",
    )
    yield _TRAINERS.switch(
        "amp use_amp mixed_precision mixed enable_amp autocast half_precision apex native_amp use_apex"
        " use_mixed_precision",
        "--precision bf16",
        note="or --precision fp16, with scaled losses",
    )
    yield _TRAINERS.switch(
        "fp16 half use_fp16 float16 opt_level", at("train, bench train", "--precision fp16"), "--precision bf16"
    )
    yield _TRAINERS.switch("bf16 bfloat16 use_bf16", "--precision bf16")
    yield _TRAINERS.switch("fp32 no_amp float32 full_precision no_fp16 no_half disable_amp", "--precision fp32")
    yield _TRAINERS.option(
        "dtype weight_dtype torch_dtype precision_mode",
        "--precision {}",
        values={
            "fp32": "--precision fp32",
            "32": "--precision fp32",
            "float32": "--precision fp32",
            "bf16": "--precision bf16",
            "bfloat16": "--precision bf16",
            "fp16": at("train, bench train", "--precision fp16"),
            "float16": at("train, bench train", "--precision fp16"),
            "16": at("train, bench train", "--precision fp16"),
        },
    )
    yield _TRAINERS.switch("compile torch_compile use_compile torchscript jit", _COMPILE, "--compile")
    yield _TRAINERS.switch("cuda_graphs use_cuda_graphs cuda_graph", at("train, bench train", "--acceleration graphs"))
    yield _TRAINERS.switch(
        "gradient_checkpointing grad_checkpointing checkpointing activation_checkpointing use_checkpoint"
        " grad_checkpoint grad_ckpt use_checkpointing low_vram low_mem save_memory memory_efficient",
        "--recompute-activations",
    )
    yield _TRAINERS.switch("benchmark cudnn_benchmark nobench cudnn", "--no-deterministic")
    yield _TRAINERS.switch(
        "reproducible cudnn_deterministic full_determinism use_deterministic_algorithms", "--deterministic"
    )
    yield _TRAINERS.nothing(
        "pin_memory pin_mem prefetch_factor prefetch persistent_workers channels_last nhwc allow_tf32 tf32 drop_last"
        " non_blocking dataloader_pin_memory xformers enable_xformers_memory_efficient_attention matmul_precision"
        " set_grads_to_none no_prefetcher loader",
        "loading and memory formats are chosen by Tandem; --num-workers, --acceleration and --precision are yours",
    )


def _writing() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "report_to logger log_with log_writer tracker logging_backend monitor_with log_to",
        "--log tensorboard",
        note=_LOGGERS,
    )
    yield _TRAINERS.switch(
        "tensorboardx use_tensorboard tb tb_log tf_log use_tb tensorboard_log log_tb tfboard tensorboard_logger",
        "--log tensorboard",
    )
    yield _TRAINERS.switch("wandb_log log_wandb with_wandb wandb_enable enable_wandb", "--log wandb")
    yield _TRAINERS.option(
        "tracker_project_name wandb_name wandb_entity wandb_id wandb_run wandb_mode wandb_group wandb_tags wandb_dir"
        " wandb_key wandb_project_id entity neptune comet mlflow clearml aim visdom use_visdom visdom_port"
        " visdom_server use_mlflow",
        "--log wandb",
        note="its settings are variables of the environment, such as WANDB_ENTITY; tensorboard and csv are others",
    )
    yield _TRAINERS.option(
        "save_every recovery_interval vis_iter save_freq save_interval save_steps save_step checkpoint_interval"
        " checkpoint_every checkpoint_freq checkpointing_steps checkpoint_steps checkpoint_step ckpt_every"
        " ckpt_interval ckpt_freq snapshot snapshot_freq snapshot_interval snap sample_interval sample_every"
        " sample_freq sample_step sample_steps model_save_step save_epoch model_save_freq image_snapshot_ticks"
        " network_snapshot_ticks save_iter save_iters image_save_iter snapshot_save_iter snapshot_iter display_step"
        " display_iter display_every image_display_iter vis_freq vis_interval save_period save_checkpoint_every"
        " save_model_every snapshot_every_steps validation_steps_images sample_period save_every_n_steps save_epochs"
        " save_model_freq checkpoint_iter plot_every every_n_train_steps save_strategy show_every save_model_interval"
        " save_image_interval",
        "--snapshot-every {}",
        note="in steps",
    )
    yield _TRAINERS.option(
        "log_interval log_freq log_step log_steps log_iter logging_steps log_every_n_steps print_every"
        " print_interval print_step report_every tick log_period disp_freq log_frequency print_iter print_iters"
        " print_frequency summary_freq summary_interval log_every_steps flush_logs_every_n_steps logging_interval"
        " report_interval scalar_log_freq progress_freq logging_strategy",
        "--log-every {}",
        note="in steps",
    )
    yield _TRAINERS.option(
        "eval_every eval_freq eval_interval eval_steps eval_step val_every val_freq val_interval val_check_interval"
        " check_val_every_n_epoch validation_steps validation_epochs valid_every test_every test_interval test_freq"
        " evaluation_interval evaluate_every evaluation_strategy eval_strategy val_epoch eval_epoch validate do_eval"
        " val validation evaluate_during_training evaluate metrics_every validation_interval test_step eval_epochs"
        " metrics_freq fid_every fid_freq eval_iter val_step",
        "--validate-every {}",
        note="in steps",
    )
    yield _TRAINERS.option(
        "metrics metric val_metrics eval_metrics eval_metric compute_metrics",
        at("evaluate", "--metrics {}"),
        "--validate-metrics {}",
        note="'tandem evaluate --help' has the metrics' names",
    )
    yield _TRAINERS.option(
        "save_total_limit keep keep_checkpoints num_checkpoints checkpoints_total_limit max_checkpoints save_top_k"
        " top_k keep_n max_to_keep checkpoint_hist n_checkpoints keep_last_n keep_ckpts num_keep keep_n_checkpoints",
        "--keep-last {}",
    )
    yield _TRAINERS.option(
        "monitor metric_for_best_model load_best_model_at_end save_best best_metric best keep_best_metric eval_best"
        " save_best_only greater_is_better best_model_metric",
        "--keep-best auto",
        note="or the name of a number of a validation",
    )
    yield _TRAINERS.option(
        "num_sample_images n_row nrow save_images num_validation_images validation_images num_vis n_vis display_size"
        " num_display num_test_images",
        "--num-previews {}",
    )
    yield _TRAINERS.nothing(
        "debug quiet silent log_level verbosity progress_bar no_progress_bar disable_tqdm tqdm dry_run fast_dev_run"
        " verbose_level detect_anomaly profiler profile enable_progress_bar no_verbose",
        "the log on standard error says what is done; --steps 1 is a trial, and 'tandem bench' measures speed",
    )
    yield _TRAINERS.nothing(
        "train test do_train do_predict do_test predict inference infer training testing generate eval_only"
        " test_only train_only demo_mode",
        "there is a command for each: 'tandem train', 'tandem sample', 'tandem evaluate'",
        takes_value=False,
    )
    yield _TRAINERS.nothing(
        "save_model enable_checkpointing save_last save_weights_only save_checkpoint save_checkpoints no_save",
        "every snapshot (--snapshot-every) writes a checkpoint and a fresh model, of which --keep-last stay",
    )
    yield _TRAINERS.nothing(
        "num_sanity_val_steps auto_lr_find auto_lr tune",
        "nothing is tried before training: the learning rate is --learning-rate, and all images are read once",
    )
    yield _TRAINERS.nothing(
        "map_depth mbstd_group num_heads n_heads heads transformer_layers patch_dim",
        "generators are U-Nets and residual networks: 'tandem train --method NAME --help' has their options",
    )
    yield _TRAINERS.nothing(
        "push_to_hub hub_model_id hub_token use_auth_token token api_key upload hf_token hub_private_repo",
        "models stay on this machine: 'tandem export' makes a folder that can be copied anywhere",
    )
    yield _TRAINERS.nothing(
        "overwrite force clean exist_ok delete_old reset no_resume from_scratch",
        "nothing is overwritten on request: give another --out, or remove the folder",
        takes_value=False,
    )


def _networks_and_losses() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "z_dim latent_size latent latents dim_z z_size latent_channels noise_dim style_dim nz_dim code_dim"
        " noise_size dim_latent latent_dims z_length n_latent latent_code_dim num_z",
        "--latent-dim {}",
    )
    yield _TRAINERS.option(
        "filters cbase cmax gf g_dim gf_dim conv_dim g_conv_dim base_channels base_filters num_filters n_filters"
        " ngf_dim dim model_channels width_mult gen_dim gen_filters base_dim channel_base nf fmap_base hidden_dim"
        " first_filters init_features g_filters features num_features start_filters generator_channels channels_g"
        " g_channels",
        "--generator-filters {}",
        "--filters {}",
        note="--discriminator-filters and, of BicycleGAN, --encoder-filters are those of the other networks",
    )
    yield _TRAINERS.option(
        "df d_dim df_dim d_conv_dim disc_dim disc_filters d_filters discriminator_channels channels_d d_channels",
        "--discriminator-filters {}",
    )
    yield _TRAINERS.option("ef e_dim ef_dim enc_dim e_filters", "--encoder-filters {}")
    yield _TRAINERS.option(
        "blocks num_blocks n_blocks n_res n_residual_blocks num_residual_blocks n_resblocks res_blocks resnet_blocks"
        " n_blocks_global num_res_blocks n_blk g_repeat_num residual_blocks n_resnet_blocks",
        "--generator-blocks {}",
    )
    yield _TRAINERS.option(
        "depth num_downs n_downs num_down n_downsample n_downsample_global num_downsampling unet_depth levels"
        " num_levels n_levels n_down downsample num_downsample",
        "--generator-depth {}",
        note="of U-Nets",
    )
    yield _TRAINERS.option(
        "d_layers disc_layers n_layer n_layers num_layers num_d_layers layers d_repeat_num n_layers_disc num_layers_d",
        "--discriminator-layers {}",
    )
    yield _TRAINERS.option("num_scales n_scales dis_scales scales num_discriminators", "--discriminator-scales {}")
    yield _TRAINERS.option(
        "norm_layer norm_type normalization normalisation norm_layers norm_mode generator_norm",
        "--norm {}",
    )
    yield _TRAINERS.option("use_instance_norm instance_norm", "--norm instance")
    yield _TRAINERS.option("use_batch_norm batch_norm bn use_bn", "--norm batch")
    yield _TRAINERS.option("act activ nonlinearity activation_fn act_fn", "--activation {}")
    yield _TRAINERS.option(
        "dropout_rate drop drop_rate dropout_p dropout_prob p_dropout use_drop",
        "--dropout",
        note="its probability is always 0.5",
    )
    yield _TRAINERS.nothing(
        "spectral_norm use_spectral_norm sn use_sn",
        "the discriminators of --method tandem always have spectral normalisation, no other network has it",
    )
    yield _TRAINERS.nothing(
        "attention use_attention self_attention attn use_attn", "no generator or discriminator here has attention"
    )
    yield _TRAINERS.option(
        "gan_loss_type adversarial_loss adv_loss loss loss_type gan_type_loss loss_fn criterion gan gan_criterion",
        "--gan-loss {}",
        values={
            "vanilla": "--gan-loss bce",
            "lsgan": "--gan-loss lsgan",
            "mse": "--gan-loss lsgan",
            "bce": "--gan-loss bce",
            "hinge": "--gan-loss hinge",
            "wgan-gp": "--gan-loss wgangp",
            "wgangp": "--gan-loss wgangp",
        },
    )
    yield _TRAINERS.option(
        "lambda_adv adv_weight lambda_gan_loss gan_weight gan_w lambda_d w_gan adversarial_weight", "--lambda-gan {}"
    )
    yield _TRAINERS.option(
        "l1_weight l1 l1_lambda lambda_pixel lambda_rec lambda_recon lambda_l1_loss lambda_pix recon_x_w"
        " lambda_reconstruction l1_loss_weight w_l1 pixel_weight rec_weight",
        "--lambda-l1 {}",
    )
    yield _TRAINERS.option(
        "lambda_cycle lambda_cyc lambda_cyc_a cycle_weight lambda_c cyc_weight recon_x_cyc_w cycle_loss_weight"
        " w_cycle lambda_cc cycle_lambda lambda_cycle_consistency",
        "--lambda-cycle-a {} --lambda-cycle-b {}",
        note="one weight for each way round",
    )
    yield _TRAINERS.option(
        "lambda_id lambda_idt identity_weight lambda_ident w_idt id_weight idt_weight lambda_identity_loss",
        "--lambda-identity {}",
    )
    yield _TRAINERS.option(
        "lambda_latent latent_weight lambda_lr lambda_zrec lambda_regression z_weight", "--lambda-z {}"
    )
    yield _TRAINERS.option(
        "kl_weight kld_weight lambda_kld beta_kl kl_w kl lambda_vae w_kl kl_beta kl_lambda", "--lambda-kl {}"
    )
    yield _TRAINERS.option(
        "gp_weight gradient_penalty lambda_gradient_penalty gp w_gp r1_gamma gamma r1",
        "--lambda-gp {}",
        note="only with --gan-loss wgangp",
    )
    yield _TRAINERS.option("ms_weight lambda_mode_seeking mode_seeking lambda_diversity", "--lambda-ms {}")
    yield _TRAINERS.option(
        "lambda_feat lambda_feature_matching feature_matching fm_weight lambda_feature_match feat_match_weight",
        "--lambda-fm {}",
        note="of tandem; the default of pix2pixHD, 10, is 20 here",
    )
    yield _TRAINERS.switch("no_ganFeat_loss no_feature_matching", "--lambda-fm 0", note="of tandem")
    yield _TRAINERS.option("nce_weight lambda_patchnce lambda_contrastive", "--lambda-nce {}")
    yield _TRAINERS.option("tau temp temperature nce_tau", "--nce-temperature {}")
    yield _TRAINERS.option(
        "init init_method init_mode weight_init initializer initialization initialisation", "--init {}"
    )
    yield _TRAINERS.option("buffer_size replay_buffer image_pool pool num_pool history_size max_pool", "--pool-size {}")
    yield _TRAINERS.option(
        "lambda_vgg lambda_perceptual vgg_weight perceptual_weight vgg_w lambda_content",
        "--lambda-features {}",
        note="--feature-weights names the file of the network's weights",
    )
    yield _TRAINERS.nothing(
        "no_vgg_loss vgg perceptual use_vgg perceptual_loss",
        "--lambda-features and --feature-weights compare features; without them nothing does",
        takes_value=False,
    )
    yield _TRAINERS.nothing(
        "lambda_lpips lpips_weight lambda_tv tv_weight lambda_style lambda_ssim ssim_weight",
        "the losses are L1, the adversarial one and --lambda-features; LPIPS is measured by 'tandem evaluate'",
    )
    yield _TRAINERS.option(
        "label_nc n_classes num_classes classes num_labels n_class num_semantics semantic_nc",
        "--classes-a {}",
        note="label maps in B: --classes-b; values, colours and pixels to ignore stand in a file",
    )
    yield _TRAINERS.nothing(
        "contain_dontcare_label dont_care_label ignore_index ignore_label",
        "pixels without a class stand under 'ignore' in the file of --classes-a or --classes-b",
    )
    yield _TRAINERS.nothing(
        "c_dim no_instance instance_feat n_local_enhancers niter_fix_global"
        " use_encoder_label label_feat selected_attrs prompt instance_prompt cond class_cond label_smooth"
        " c2_dim attributes labels lambda_cls no_instance_edge",
        "inputs are images, or label maps (--classes-a), and nothing else",
    )


def _sampling() -> Iterator[OtherName]:
    yield _TRAINERS.option(
        "samples num_outputs n_outputs num_sample n_sample num_images_per_prompt num_generated num_variations"
        " num_styles n_styles num_style",
        _SAMPLES,
        note="of each input",
    )
    yield _TRAINERS.option("seeds", "--seed {}", note="one seed; another sampling takes another --out")
    yield _TRAINERS.option(
        "style style_image style_img ref ref_image reference_image ref_dir style_path",
        at("sample", "--mode reference --reference {}"),
    )
    yield _TRAINERS.switch("interpolation_mode interpolate interp interpolations", at("sample", "--mode interpolate"))
    yield _TRAINERS.switch("encode encoded use_encoder encode_only", at("sample", "--mode encode"))
    yield _TRAINERS.switch("random_style", at("sample", "--mode random"))
    yield _TRAINERS.option("latent_file z_file noise latent_codes", at("sample", "--z {}"))
    yield _TRAINERS.option(
        "ext extension file_format image_format output_format img_format suffix_out", at("sample", "--format {}")
    )
    yield _TRAINERS.option("tile_size tiled tiles tile_width", at("sample", "--tile {}"))
    yield _TRAINERS.switch(
        "no_grid no_html_page only_outputs outputs_only save_only_output no_page", at("sample", "--only outputs")
    )
    yield _TRAINERS.switch("onnx use_onnx onnxruntime", at("sample", "--engine onnx"))
    yield _TRAINERS.option("keep_size keep_resolution pad padding", at("sample, evaluate", "--fit pad"))
    yield _TRAINERS.option("resize_mode resize_input", at("sample, evaluate", "--fit resize"))
    yield _TRAINERS.option("vram max_memory memory_limit max_vram", at("sample", "--memory-gb {}"))
    yield _TRAINERS.option("frame_rate", at("timeline", "--fps {}"))
    yield _TRAINERS.option("video gif", at("sample", "<INPUTS> {}"), note="a video is an input like any other")
    yield _TRAINERS.option(
        "real real_path gt gt_dir gt_path reference_dir real_dir ground_truth",
        at("evaluate", "--images {} GENERATED"),
        note="two folders: the real images, then the generated ones",
    )
    yield _TRAINERS.option(
        "fake fake_path generated pred pred_dir fake_dir generated_dir prediction",
        at("evaluate", "--images REAL {}"),
        note="two folders: the real images, then the generated ones",
    )
    yield _TRAINERS.option("dims inception_path fid_weights", at("evaluate", "--inception {}"))
    yield _TRAINERS.switch("fid", at("evaluate", "--metrics fid"), "--validate-every 1000")
    yield _TRAINERS.switch("lpips", at("evaluate", "--metrics lpips"), "--validate-every 1000")
    yield _TRAINERS.nothing(
        "trunc truncation truncation_psi psi guidance_scale cfg_scale num_inference_steps sampling_steps ddim_steps"
        " strength scale denoising_strength eta timesteps sampler num_timesteps diffusion_steps beta_schedule",
        "a translation is one pass through the generator: --num-samples and --seed of 'tandem sample' vary it",
    )
