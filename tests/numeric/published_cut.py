"""The published step of CUT a second time, in its own order and with its own quirks, writing reference cases.

It is driven by official options alone, through plain sequences of PyTorch's modules whose numbers are the keys of
published checkpoints. Nothing of the project's networks, losses, phases, step or optimisers is used.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from published_methods import BlurDown, BlurUp, norm_layer
from safetensors.torch import save_file
from torch import Tensor, nn

SIZE, CHANNELS = 32, 3
OPTIONS: dict[str, Any] = {
    "netG": "resnet_9blocks",
    "netD": "basic",
    "netF": "mlp_sample",
    "netF_nc": 4,
    "ngf": 2,
    "ndf": 2,
    "n_layers_D": 3,
    "normG": "instance",
    "normD": "instance",
    "no_antialias": False,
    "no_antialias_up": False,
    "gan_mode": "lsgan",
    "lambda_GAN": 1.0,
    "lambda_NCE": 1.0,
    "nce_idt": True,
    "flip_equivariance": False,
    "nce_layers": "0,4,8,12,16",
    "nce_T": 0.07,
    "num_patches": 6,
    "lr": 0.0002,
    "beta1": 0.5,
    "beta2": 0.999,
}


class PlainInstanceNorm(nn.Module):
    """Its definition, whose gradient is right in every layout of memory."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()


class Block(nn.Module):
    def __init__(self, norm: str, channels: int) -> None:
        super().__init__()
        bias = norm == "instance"
        layers: list[nn.Module] = []
        for activation in ([nn.ReLU(True)], []):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias)]
            layers += [norm_layer(norm, channels), *activation]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def generator_layers(options: Mapping[str, Any]) -> list[nn.Module]:
    norm, width, bias = options["normG"], options["ngf"], options["normG"] == "instance"
    channels = options.get("input_nc", CHANNELS)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=bias)]
    layers += [norm_layer(norm, width), nn.ReLU(True)]
    for given in (width, 2 * width):
        stride = 2 if options["no_antialias"] else 1
        layers += [nn.Conv2d(given, 2 * given, 3, stride=stride, padding=1, bias=bias)]
        layers += [norm_layer(norm, 2 * given), nn.ReLU(True)]
        layers += [] if options["no_antialias"] else [BlurDown()]
    layers += [Block(norm, 4 * width) for _ in range(int(options["netG"][len("resnet_") : -len("blocks")]))]
    for given in (4 * width, 2 * width):
        if options["no_antialias_up"]:
            layers.append(nn.ConvTranspose2d(given, given // 2, 3, 2, 1, output_padding=1, bias=bias))
        else:
            layers += [BlurUp(), nn.Conv2d(given, given // 2, 3, padding=1, bias=bias)]
        layers += [norm_layer(norm, given // 2), nn.ReLU(True)]
    return [*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]


def discriminator_layers(options: Mapping[str, Any]) -> list[nn.Module]:
    norm, width, bias = options["normD"], options["ndf"], options["normD"] == "instance"
    channels = options.get("input_nc", CHANNELS)
    if options["netD"] == "pixel":
        middle = [nn.Conv2d(width, 2 * width, 1, bias=bias), norm_layer(norm, 2 * width), nn.LeakyReLU(0.2, True)]
        first = [nn.Conv2d(channels, width, 1), nn.LeakyReLU(0.2, True)]
        return [*first, *middle, nn.Conv2d(2 * width, 1, 1, bias=bias)]
    halves = {"stride": 2} if options["no_antialias"] else {"stride": 1}
    blur = [] if options["no_antialias"] else [BlurDown]
    depth = options["n_layers_D"] if options["netD"] == "n_layers" else 3
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, padding=1, **halves), nn.LeakyReLU(0.2, True)]
    layers += [make() for make in blur]
    widths = [width * min(2**level, 8) for level in range(depth + 1)]
    for level in range(1, depth + 1):
        stride = halves if level < depth else {"stride": 1}
        layers += [nn.Conv2d(widths[level - 1], widths[level], 4, padding=1, bias=bias, **stride)]
        layers += [norm_layer(norm, widths[level]), nn.LeakyReLU(0.2, True)]
        layers += [make() for make in blur] if level < depth else []
    return [*layers, nn.Conv2d(widths[-1], 1, 4, padding=1)]


class Numbered(nn.Module):
    """Layers under the name ``model``, or ``net`` for the pixel discriminator."""

    def __init__(self, layers: Sequence[nn.Module], name: str = "model") -> None:
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))

    @property
    def layers(self) -> nn.Sequential:
        (layers,) = self.children()
        assert isinstance(layers, nn.Sequential)
        return layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def features(self, x: Tensor, numbers: Sequence[int]) -> list[Tensor]:
        """What the numbered layers give, not copied: a layer that works in place changes it afterwards."""
        found = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in numbers:
                found.append(x)
            if number == numbers[-1]:
                break
        return found


class Heads(nn.Module):
    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        for index, given in enumerate(channels):
            self.add_module(f"mlp_{index}", nn.Sequential(nn.Linear(given, width), nn.ReLU(), nn.Linear(width, width)))

    def forward(self, features: Sequence[Tensor], ids: Sequence[Tensor]) -> list[Tensor]:
        found = []
        for head, feature, chosen in zip(self.children(), features, ids, strict=True):
            vectors = feature.permute(0, 2, 3, 1).flatten(1, 2)[:, chosen, :].flatten(0, 1)
            vectors = head(vectors)
            found.append(vectors / (vectors.pow(2).sum(1, keepdim=True).pow(0.5) + 1e-7))
        return found


def adversarial(mode: str, logits: Tensor, real: bool) -> Tensor:
    match mode:
        case "lsgan":
            return F.mse_loss(logits, torch.full_like(logits, float(real)))
        case "vanilla":
            return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
        case "nonsaturating":
            return F.softplus(-logits if real else logits).flatten(1).mean(1).mean()
        case "hinge":
            return -torch.minimum((logits if real else -logits) - 1, torch.zeros_like(logits)).mean()
        case _:
            return -logits.mean() if real else logits.mean()


class PublishedStep:
    """Networks, optimisers and the step; what a case holds is noted in `expected`."""

    def __init__(self, options: Mapping[str, Any], *, batch_size: int, size: int, torch_norm: bool) -> None:
        self.options, self.batch_size, self.size = options, batch_size, size
        self.numbers = [int(number) for number in options["nce_layers"].split(",")]
        self.random = torch.Generator().manual_seed(0)
        generator = Numbered(generator_layers(options)).double().eval()
        with torch.no_grad():
            maps = generator.features(
                torch.zeros(1, options.get("input_nc", CHANNELS), size, size).double(), self.numbers
            )
        self.maps = [tuple(feature.shape[1:]) for feature in maps]
        pixel = options["netD"] == "pixel"
        self.networks: dict[str, Any] = {
            "G": generator,
            "D": Numbered(discriminator_layers(options), "net" if pixel else "model"),
            "F": Heads([channels for channels, _, _ in self.maps], options["netF_nc"]),
        }
        for network in self.networks.values():
            self._fill(network.double().train())
            if not torch_norm:
                with_plain_norms(network)
        betas = (options["beta1"], options["beta2"])
        self.adam = {
            name: torch.optim.Adam(network.parameters(), lr=options["lr"], betas=betas)
            for name, network in self.networks.items()
        }
        self.expected: dict[str, Tensor] = {}

    @torch.no_grad()
    def _fill(self, network: nn.Module) -> None:
        for parameter in network.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
            noise = scale * torch.randn(parameter.shape, generator=self.random)
            parameter.copy_(noise if parameter.ndim > 1 or parameter.mean() < 0.5 else 1 + noise)

    def state(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": value.float() if value.is_floating_point() else value.clone()
            for name, network in self.networks.items()
            for key, value in network.state_dict().items()
        }

    def draw(self, step: int, flipped: bool) -> dict[str, Tensor]:
        shape = (self.batch_size, self.options.get("input_nc", CHANNELS), self.size, self.size)
        inputs = {f"step{step}.{name}": 2 * torch.rand(shape, generator=self.random) - 1 for name in "AB"}
        for use in "AB" if self.options["nce_idt"] else "A":
            for index, (_, height, width) in enumerate(self.maps):
                ids = torch.randperm(height * width, generator=self.random)[: self.options["num_patches"]]
                inputs[f"step{step}.ids_{use}.{index}"] = ids.clone()
        return inputs | {f"step{step}.flipped": torch.tensor([float(flipped)], dtype=torch.float64)}

    def __call__(self, step: int, inputs: Mapping[str, Tensor]) -> None:
        options, (g, d, _) = self.options, self.networks.values()
        given = {key.removeprefix(f"step{step}."): value for key, value in inputs.items()}
        names = "AB" if options.get("direction", "AtoB") == "AtoB" else "BA"
        real_a, real_b = (given[name].double() for name in names)
        self.flipped = bool(given["flipped"].item())
        real = torch.cat([real_a, real_b]) if options["nce_idt"] else real_a
        fake = g(real.flip(3) if self.flipped else real)
        fake_b, idt_b = fake[: len(real_a)], fake[len(real_a) :]
        losses = {
            "D_fake": adversarial(options["gan_mode"], d(fake_b.detach()), False),
            "D_real": adversarial(options["gan_mode"], d(real_b), True),
        }
        self._update(step, "D", 0.5 * (losses["D_fake"] + losses["D_real"]))
        zero = torch.zeros((), dtype=torch.float64)
        adversary = adversarial(options["gan_mode"], d(fake_b), True) if options["lambda_GAN"] > 0 else zero
        losses["G_GAN"] = options["lambda_GAN"] * adversary
        losses["NCE"] = both = self._nce(real_a, fake_b, given, "A")
        if options["nce_idt"]:
            losses["NCE_Y"] = self._nce(real_b, idt_b, given, "B")
            both = 0.5 * (losses["NCE"] + losses["NCE_Y"])
        losses["G"] = losses["G_GAN"] + both
        self._update(step, "GF", losses["G"])
        self.expected |= {f"step{step}.loss.{name}": loss.detach() for name, loss in losses.items()}
        if step == 0:
            self.expected["step0.fake_B"] = fake_b.detach().float().clone()
            if options["nce_idt"]:
                self.expected["step0.idt_B"] = idt_b.detach().float().clone()

    def _nce(self, source: Tensor, output: Tensor, given: Mapping[str, Tensor], use: str) -> Tensor:
        options, g, heads = self.options, self.networks["G"], self.networks["F"]
        queries = g.features(output, self.numbers)
        queries = [query.flip(3) for query in queries] if self.flipped else queries
        keys = g.features(source, self.numbers)
        ids = [given[f"ids_{use}.{index}"] for index in range(len(keys))]
        groups = 1 if options.get("nce_includes_all_negatives_from_minibatch") else self.batch_size
        total = torch.zeros((), dtype=torch.float64)
        for target, query in zip(heads(keys, ids), heads(queries, ids), strict=True):
            own = (query * target.detach()).sum(1)
            q, k = (vectors.unflatten(0, (groups, -1)) for vectors in (query, target.detach()))
            others = q @ k.transpose(1, 2)
            diagonal = torch.eye(others.shape[1], dtype=torch.bool)
            others = others.masked_fill(diagonal, -10.0).flatten(0, 1)
            scores = torch.cat([own[:, None], others], 1) / options["nce_T"]
            total = total + (scores.logsumexp(1) - scores[:, 0]).mean() * options["lambda_NCE"]
        return total / len(keys)

    def _update(self, step: int, names: str, loss: Tensor) -> None:
        for network in self.networks.values():
            network.zero_grad()
        loss.backward()
        for name in names:
            if step == 0:
                for key, parameter in self.networks[name].named_parameters():
                    self.expected[f"step0.grad.{name}.{key}"] = parameter.grad.float()
            self.adam[name].step()


def with_plain_norms(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                setattr(module, name, PlainInstanceNorm())


def write_case(
    folder: Path,
    *,
    batch_size: int = 1,
    flips: Sequence[bool] = (False, False),
    size: int = SIZE,
    torch_norm: bool = False,
    **changed: Any,
) -> Path:
    """Write a case of the published step with `OPTIONS` but for `changed`, one step for each of `flips`."""
    options = OPTIONS | changed
    published = PublishedStep(options, batch_size=batch_size, size=size, torch_norm=torch_norm)
    folder.mkdir()
    save_file(published.state(), folder / "initial_weights.safetensors")
    inputs: dict[str, Tensor] = {}
    for step, flipped in enumerate(flips):
        drawn = published.draw(step, flipped)
        published(step, drawn)
        inputs |= drawn
    save_file(inputs, folder / "inputs.safetensors")
    final = {f"final.{key}": value for key, value in published.state().items()}
    save_file(published.expected | final, folder / "expected.safetensors")
    case = {
        "method": "cut",
        "size": size,
        "steps": len(flips),
        "batch_size": batch_size,
        "note": "",
        "options": options,
    }
    (folder / "case.json").write_text(json.dumps(case), encoding="utf-8")
    return folder
