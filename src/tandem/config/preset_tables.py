"""The presets' content: published recipes, the settings of well-known reimplementations, and this project's demo.

A preset names the section or table of its paper that it reproduces.

BicycleGAN: section 4 of its paper for networks and weights, the official scripts for the rest: load 286, crop 256,
flip, batch 2, dropout on, `niter` epochs at the full rate, then `niter_decay` to zero. pix2pix: section 6.2 for epochs
and batch sizes. CycleGAN: section 4, 100 + 100 epochs. CUT, FastCUT: section 4, the official 200 + 200 and 150 + 50
epochs. Like the published trainings none of these keeps an EMA of the weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Defaults under one name.

    Attributes:
        name: What ``--preset`` takes.
        method: The method, or a variant of one.
        source: The paper or project that the setting comes from.
        data: The data that it was made for.
        dataset: What ``tandem data download`` calls this data; None where there is nothing to download.
        options: Option names and values.
    """

    name: str
    method: str
    source: str
    data: str
    dataset: str | None
    options: MappingProxyType[str, Any] = field(hash=False)


BICYCLEGAN = "BicycleGAN, 1711.11586, section 4"
PIX2PIX = "pix2pix, 1611.07004, section 6.2"
CYCLEGAN = "CycleGAN, 1703.10593, section 4"


def all_presets() -> Iterator[Preset]:
    """Every preset, method by method."""
    yield from _bicyclegan()
    yield from _pytorch_128()
    yield from _tensorflow_bicyclegan()
    yield from _pix2pix()
    yield from _cyclegan()
    yield from _cut()
    demo = "the generated demo dataset"
    yield _preset("demo", "tandem", "this project", DEMO, data=demo)
    yield _preset("demo-bicyclegan", "bicyclegan", "this project", DEMO_BICYCLEGAN, data=demo)
    yield _preset("demo-unpaired", "cyclegan", "this project", DEMO_UNPAIRED, data="the unpaired demo dataset")


def _preset(
    name: str, method: str, source: str, options: dict[str, Any], *, data: str, dataset: str | None = None
) -> Preset:
    return Preset(name, method, source, data, dataset, MappingProxyType(options))


def _schedule(constant: int, decay: int) -> dict[str, Any]:
    return {
        "lr_schedule": "linear",
        "lr_constant_epochs": constant,
        "lr_decay_epochs": decay,
        "ema_halflife_images": 0,
    }


def _bicyclegan() -> Iterator[Preset]:
    recipes: list[tuple[str, str, int, int, dict[str, Any]]] = [
        ("facades", "facades, labels → photos", 200, 200, {"direction": "BtoA"}),
        ("maps", "maps, map → satellite", 200, 200, {"direction": "BtoA", "load_size": 600}),
        ("edges2shoes", "edges → shoes", 30, 30, {"input_channels": 1}),
        ("edges2handbags", "edges → handbags", 15, 15, {"input_channels": 1}),
        ("night2day", "night → day", 50, 50, {}),
    ]
    for name, data, constant, decay, changes in recipes:
        common = {"size": 256, "load_size": 286, "dropout": True}
        options = common | _schedule(constant, decay) | changes
        source = f"{BICYCLEGAN} and table 1" if name == "maps" else BICYCLEGAN
        yield _preset(name, "bicyclegan", source, options, data=data, dataset=name)


def _pytorch_128() -> Iterator[Preset]:
    source = "the 128 px PyTorch BicycleGAN of two articles"
    options = {
        "size": 128,
        "load_size": 128,
        "flip": False,
        "injection": "input",
        "norm": "instance_affine",
        "update_order": "discriminator_first",
        "ema_halflife_images": 0,
    }
    data = "edges → shoes at 128 px"
    changes: dict[str, dict[str, Any]] = {"": {}, "-conditional": {"conditional": True}}
    for suffix, change in changes.items():
        discriminators = f"{suffix.removeprefix('-') or 'unconditional'} discriminators"
        name = f"pytorch128{suffix}"
        yield _preset(
            name, "bicyclegan", f"{source}, {discriminators}", options | change, data=data, dataset="edges2shoes"
        )


def _tensorflow_bicyclegan() -> Iterator[Preset]:
    """The tasks of the TensorFlow BicycleGAN: one discriminator for both kinds of fakes, batch norm, 8 + 2 epochs.

    Its KL term is a mean over the eight dimensions too, and its encoder learns from the latent regression.
    """
    tasks = {
        "edges2shoes": ("edges → shoes", "edges2shoes", "AtoB"),
        "edges2handbags": ("edges → handbags", "edges2handbags", "AtoB"),
        "maps": ("map → satellite", "maps", "BtoA"),
        "cityscapes": ("photos → labels", "cityscapes", "AtoB"),
        "facades": ("photos → labels", "facades", "AtoB"),
        "day2night": ("day → night", "night2day", "BtoA"),
    }
    for size, load_size in ((128, 143), (256, 286)):
        for task, (data, dataset, direction) in tasks.items():
            options = {
                "size": size,
                "load_size": load_size,
                "norm": "batch",
                "shared_discriminator": True,
                "discriminator_scales": 1,
                "latent_trains_encoder": True,
                "kl_reduction": "mean",
                "lambda_kl": 0.01 / 8,
            }
            source = f"the TensorFlow BicycleGAN, task {task}, image_size {size}"
            options |= _schedule(8, 2) | ({"direction": direction} if direction != "AtoB" else {})
            yield _preset(f"tf-{task}-{size}", "bicyclegan", source, options, data=data, dataset=dataset)


def _pix2pix() -> Iterator[Preset]:
    recipes: list[tuple[str, str, str, int, dict[str, Any]]] = [
        ("facades", "facades, labels → photos", "facades", 200, {"direction": "BtoA"}),
        ("maps", "maps, satellite → map", "maps", 200, {}),
        ("maps-reverse", "maps, map → satellite", "maps", 200, {"direction": "BtoA"}),
        ("cityscapes", "cityscapes, labels → photos", "cityscapes", 200, {"direction": "BtoA", "batch_size": 10}),
        ("edges2shoes", "edges → shoes", "edges2shoes", 15, {"batch_size": 4}),
        ("edges2handbags", "edges → handbags", "edges2handbags", 15, {"batch_size": 4}),
        ("day2night", "day → night", "night2day", 17, {"direction": "BtoA", "batch_size": 4}),
    ]
    for task, data, dataset, epochs, changes in recipes:
        # Half of the epochs at the full rate, as the official implementation does with its default of 100 + 100.
        constant = (epochs + 1) // 2
        options = {"size": 256, "load_size": 286} | _schedule(constant, epochs - constant) | changes
        yield _preset(f"pix2pix-{task}", "pix2pix", PIX2PIX, options, data=data, dataset=dataset)


def _cyclegan() -> Iterator[Preset]:
    names = {
        "horse2zebra": "horses ↔ zebras",
        "apple2orange": "apples ↔ oranges",
        "summer2winter_yosemite": "summer ↔ winter",
        "monet2photo": "Monet ↔ photos",
        "cezanne2photo": "Cézanne ↔ photos",
        "ukiyoe2photo": "Ukiyo-e ↔ photos",
        "vangogh2photo": "Van Gogh ↔ photos",
        "iphone2dslr_flower": "phone ↔ camera, flowers",
    }
    options = {"size": 256, "load_size": 286} | _schedule(100, 100)
    for name, data in names.items():
        yield _preset(name, "cyclegan", CYCLEGAN, options, data=data, dataset=name)
    for name, data in (
        ("maps", "satellite ↔ map"),
        ("cityscapes", "photos ↔ labels"),
        ("facades", "photos ↔ labels"),
    ):
        yield _preset(f"cyclegan-{name}", "cyclegan", CYCLEGAN, options, data=data, dataset=f"cyclegan/{name}")
    narrow = options | {"generator_filters": 32}
    yield _preset(
        "tf-cyclegan", "cyclegan", "the TensorFlow CycleGAN, ngf 32", narrow, data="any two folders of images"
    )


def _cut() -> Iterator[Preset]:
    recipes: list[tuple[str, str, dict[str, Any]]] = [
        ("cut", "CUT", _schedule(200, 200)),
        ("fastcut", "FastCUT", _schedule(150, 50)),
    ]
    for method, title, schedule in recipes:
        options = {"size": 256, "load_size": 286} | schedule
        for name, data in (("horse2zebra", "horses → zebras"), ("grumpifycat", "cats → Grumpy Cat")):
            source = f"{title}, 2007.15651, section 4" + (" and table 1" if name == "horse2zebra" else "")
            yield _preset(f"{method}-{name}", method, source, options, data=data, dataset=name)


# For minutes on a CPU. The looks are decided by few numbers, so the weight of KL is low; there is little texture, so
# that of the GAN is too.
DEMO: dict[str, Any] = {
    "size": 64,
    "load_size": 68,
    "batch_size": 4,
    "generator_filters": 24,
    "lambda_kl": 0.0001,
    "lambda_gan": 0.2,
    "lambda_z": 0.1,
    "learning_rate": 0.001,
    "log_every": 20,
    "snapshot_every": 300,
    "num_workers": 1,
}

# For minutes on a CPU, not for the paper's setting: the five levels leave a bottleneck of 2×2 (bilinear upsampling of a
# 1×1 one is constant, and instance norm makes it zero), the discriminators without norm see colours, and the rate is
# higher.
DEMO_BICYCLEGAN: dict[str, Any] = {
    "size": 64,
    "load_size": 68,
    "batch_size": 4,
    "generator_filters": 24,
    "encoder_filters": 24,
    "discriminator_filters": 24,
    "generator_depth": 5,
    "upsampling": "bilinear",
    "discriminator_norm": "none",
    "lambda_kl": 0.003,
    "latent_trains_encoder": True,
    "learning_rate": 0.0007,
    "ema_halflife_images": 500,
    "log_every": 20,
    "snapshot_every": 200,
    "num_workers": 1,
}

DEMO_UNPAIRED: dict[str, Any] = {
    "size": 64,
    "load_size": 68,
    "generator_filters": 16,
    "discriminator_filters": 16,
    "discriminator_layers": 2,
    "ema_halflife_images": 500,
    "log_every": 20,
    "snapshot_every": 500,
    "num_workers": 1,
}
