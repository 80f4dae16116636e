"""Values of official options that are names of networks or lists, in words of our options."""

import re


def generator(name: str) -> tuple[str, ...]:
    """``unet_256`` has a level for every halving of 256 px, ``resnet_9blocks`` nine blocks.

    Methods with one kind of generator have no ``--generator``.
    """
    if match := re.fullmatch(r"unet_(\d+)", name):
        side = int(match[1])
        if side < 4 or side & (side - 1):
            return ()
        levels = f"--generator-depth {side.bit_length() - 1}"
        return f"--generator unet {levels}", levels
    if match := re.fullmatch(r"(?:mobile_)?resnet_(\d+)blocks", name):
        blocks = f"--generator-blocks {match[1]}"
        return f"--generator resnet {blocks}", blocks
    return ()


def discriminator(name: str) -> tuple[str, ...]:
    """pix2pix, CycleGAN and CUT: ``basic`` is ``n_layers`` with three; BicycleGAN: ``basic_256_multi``."""
    if name == "basic":
        return "--discriminator patch --discriminator-layers 3", "--discriminator-layers 3"
    if name == "pixel":
        return ("--discriminator pixel",)
    if name == "n_layers":
        return "--discriminator patch --discriminator-layers {n_layers_D}", "--discriminator-layers {n_layers_D}"
    if match := re.fullmatch(r"basic_(128|256)(_multi)?", name):
        layers = {"128": 2, "256": 3}[match[1]]
        scales = "{num_Ds}" if match[2] else "1"
        return (f"--discriminator-layers {layers} --discriminator-scales {scales}",)
    return ()


def encoder(name: str) -> tuple[str, ...]:
    """``resnet_256`` goes down to 8 px, as its depth says; ``conv`` is called ``cnn``."""
    match = re.fullmatch(r"(resnet|conv)_(128|256)", name)
    if match is None:
        return ()
    body = "resnet" if match[1] == "resnet" else "cnn"
    return (f"--encoder {body} --encoder-depth {int(match[2]).bit_length() - 4}",)


def device(ids: str) -> tuple[str, ...]:
    """One GPU by its number; −1 is the CPU. Several GPUs are no option but several processes."""
    first = ids.strip().removeprefix("cuda:")
    if first in {"-1", "cpu", ""}:
        return ("--device cpu",)
    return (f"--device cuda:{int(first)}",) if re.fullmatch(r"\d{1,3}", first) else ()


def schedule(policy: str) -> tuple[str, ...]:
    """The two policies that reach zero after constant epochs, and the one without a decay."""
    if policy in {"linear", "cosine"}:
        return (f"--lr-schedule {policy} --lr-constant-epochs {{n_epochs}} --lr-decay-epochs {{n_epochs_decay}}",)
    return ("--lr-schedule constant",) if policy in {"constant", "none"} else ()
