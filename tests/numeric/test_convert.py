"""Official weights in and out: independent networks and reference numbers through files, bundles and files again."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from published_methods import BlurDown, BlurUp, PublishedResNet, PublishedUNet
from published_networks import published_network
from safetensors.torch import load_file
from torch import Tensor, nn

from tandem import load
from tandem.checkpoint.bundle import load_bundle
from tandem.checkpoint.convert import Told, convert
from tandem.checkpoint.official_infer import Unseen, infer
from tandem.checkpoint.official_write import write_official
from tandem.config.specifications import EncoderSpec, NetworkSpec, ResNetSpec, UNetSpec
from tandem.inference.onnx.export import export_onnx
from tandem.networks.layers import sample_as_in_training

TOLERANCE = 1e-5
NORMS = ("instance", "instance_affine", "batch", "none")


class SavedBlur(nn.Module):
    """A blur of CUT's code, which keeps its fixed filter as a buffer and so saves it."""

    def __init__(self, channels: int, taps: list[float], gain: float) -> None:
        super().__init__()
        line = torch.tensor(taps)
        filt = line[:, None] * line[None, :]
        self.register_buffer("filt", (filt / filt.sum() * gain)[None, None].repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.filt, Tensor)
        if self.filt.shape[-1] == 3:
            return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, stride=2, groups=x.shape[1])
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])[:, :, 1:, 1:][
            :, :, :-1, :-1
        ]


def official(spec: NetworkSpec, seed: int = 0) -> nn.Module:
    """The official network, not built by the package, with random weights and running statistics."""
    match spec:
        case ResNetSpec():
            network: nn.Module = PublishedResNet(spec)
        case UNetSpec(skip_first=True):
            network = PublishedUNet(spec)
        case _:
            network = published_network(spec)
    if isinstance(network, PublishedResNet):
        width = network.model[1].out_channels
        blurs = [(BlurDown, 2 * width), (BlurDown, 4 * width), (BlurUp, 4 * width), (BlurUp, 2 * width)]
        at = [index for index, layer in enumerate(network.model) if isinstance(layer, BlurDown | BlurUp)]
        for index, (kind, channels) in zip(at, blurs, strict=bool(at)):
            assert isinstance(network.model[index], kind)
            taps, gain = ([1.0, 2.0, 1.0], 1) if kind is BlurDown else ([1.0, 3.0, 3.0, 1.0], 4)
            network.model[index] = SavedBlur(channels, taps, gain)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not name.endswith("filt"):
                value.copy_(torch.randn(value.shape, generator=generator) / max(1, value[0].numel()) ** 0.5)
                if name.endswith("running_var"):
                    value.abs_().add_(0.5)
    return network.eval()


def image(channels: int, side: int, seed: int = 1) -> Tensor:
    return torch.rand((2, channels, side, side), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def save(folder: Path, **networks: nn.Module | Mapping[str, Tensor]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, one in networks.items():
        paths.append(folder / f"latest_net_{name}.pth")
        torch.save(dict(one.state_dict()) if isinstance(one, nn.Module) else one, paths[-1])
    return paths


def largest(ours: Tensor, theirs: Tensor) -> float:
    return (ours - theirs).abs().max().item() / max(1.0, theirs.abs().max().item())


@torch.no_grad()
def assert_same(ours: nn.Module, theirs: nn.Module, spec: NetworkSpec) -> None:
    """Same outputs, also for another latent, which must matter."""
    if isinstance(spec, EncoderSpec):
        b = image(spec.in_channels, 2 ** (spec.depth + 3))
        assert all(largest(*pair) < TOLERANCE for pair in zip(ours(b), theirs(b), strict=True))
        return
    assert isinstance(spec, UNetSpec | ResNetSpec)
    a = image(spec.in_channels, max(spec.size_multiple, 16))
    if not spec.latent_dim:
        outputs = theirs(a, None) if isinstance(spec, UNetSpec) and not spec.skip_first else theirs(a)
        assert largest(ours(a), outputs) < TOLERANCE
        return
    zs = torch.randn(2, 2, spec.latent_dim, generator=torch.Generator().manual_seed(2))
    expected = [theirs(a, z) for z in zs]
    assert all(largest(ours(a, z), one) < TOLERANCE for z, one in zip(zs, expected, strict=True))
    assert largest(*expected) > 100 * TOLERANCE


def assert_round_trip(folder: Path, written: Mapping[str, nn.Module]) -> None:
    """From the bundle to files: the same keys in every file, the same bits, and the official network takes them."""
    manifest, networks = load_bundle(folder)
    paths = write_official(folder / "official", manifest, networks)
    assert [path.name for path in paths] == [f"latest_net_{name}.pth" for name in written]
    for path, network in zip(paths, written.values(), strict=True):
        found = torch.load(path, weights_only=True)
        expected = network.state_dict()
        assert found.keys() == expected.keys()
        assert all(
            torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in expected.items()
        )
        network.load_state_dict(found, strict=True)


unets = st.builds(
    UNetSpec,
    in_channels=st.sampled_from([1, 3, 4]),
    out_channels=st.sampled_from([1, 2, 3]),
    latent_dim=st.sampled_from([2, 8]),
    depth=st.sampled_from([2, 4, 6]),
    filters=st.sampled_from([2, 3]),
    norm=st.sampled_from(NORMS),
    injection=st.sampled_from(["input", "all"]),
    upsampling=st.sampled_from(["transposed", "bilinear"]),
    activation=st.sampled_from(["relu", "lrelu", "elu"]),
)


@settings(max_examples=15)
@given(spec=unets, body=st.sampled_from(["resnet", "cnn"]), depth=st.sampled_from([1, 3, 4]))
def test_bicyclegan_of_every_kind(
    tmp_path_factory: pytest.TempPathFactory, spec: UNetSpec, body: Any, depth: int
) -> None:
    """With its encoder everything follows from the files but the activation, which is told."""
    encoder = EncoderSpec(
        body=body,
        in_channels=spec.out_channels,
        latent_dim=spec.latent_dim,
        depth=depth,
        filters=3,
        norm=spec.norm if depth > 1 else "instance",
    )
    folder = tmp_path_factory.mktemp("model")
    networks = {"G": official(spec), "E": official(encoder, 1)}
    norm: Any = "none" if spec.norm == "none" else "instance"
    if depth == 1:  # an encoder without a norm anywhere cannot tell the generator's
        found: NetworkSpec = infer(
            {key: tuple(value.shape) for key, value in networks["G"].state_dict().items()},
            Unseen(norm=norm, activation=spec.activation, latent_dim=spec.latent_dim),
            name="G",
        )
        assert found == spec
        return
    manifest = convert(save(folder, **networks), folder / "model", Told(activation=spec.activation))
    assert manifest.networks == {"generator": spec, "encoder": encoder}
    assert manifest.method == "bicyclegan"
    assert not manifest.samples_with_noise
    assert manifest.preprocessing.size == (2**spec.depth,) * 2
    _, ours = load_bundle(folder / "model")
    assert_same(ours["generator"], networks["G"], spec)
    assert_same(ours["encoder"], networks["E"], encoder)
    assert_round_trip(folder / "model", networks)


PIX2PIX = list(itertools.product((3, 5, 8), (("batch", False), ("instance", True), ("none", False)), (1,)))


@pytest.mark.parametrize(("depth", "norm_and_bias", "in_channels"), PIX2PIX)
def test_pix2pix_of_every_kind(tmp_path: Path, depth: int, norm_and_bias: tuple[Any, bool], in_channels: int) -> None:
    norm, bias = norm_and_bias
    spec = UNetSpec(
        in_channels=in_channels,
        out_channels=3,
        latent_dim=0,
        depth=depth,
        filters=2,
        norm=norm,
        injection="none",
        dropout=True,
        bias=bias,
        skip_first=True,
    )
    network = official(spec)
    manifest = convert(save(tmp_path, G=network), tmp_path / "model")
    assert manifest.networks == {"generator": spec}
    assert manifest.method == "pix2pix"
    assert manifest.samples_with_noise
    _, ours = load_bundle(tmp_path / "model")
    assert_same(ours["generator"], network, spec)
    assert_round_trip(tmp_path / "model", {"G": network})
    # The official test keeps the state of training, but for what draws: the image's own statistics.
    plain = convert(save(tmp_path, G=network), tmp_path / "plain", Told(dropout=False))
    _, ours = load_bundle(tmp_path / "plain")
    assert plain.networks["generator"].dropout is False  # type: ignore[union-attr]
    sample_as_in_training(ours["generator"])
    for module in network.modules():
        module.train(isinstance(module, nn.BatchNorm2d))
    assert_same(ours["generator"], network, spec)


RESNETS = list(itertools.product(("instance", "batch", "none"), (False, True), (False, True), ((1, 3), (9, 1))))


@pytest.mark.parametrize(("norm", "antialias", "dropout", "blocks_and_channels"), RESNETS)
def test_residual_generator_of_every_kind(
    tmp_path: Path, norm: Any, antialias: bool, dropout: bool, blocks_and_channels: tuple[int, int]
) -> None:
    blocks, channels = blocks_and_channels
    spec = ResNetSpec(
        in_channels=channels,
        out_channels=channels,
        filters=3,
        blocks=blocks,
        norm=norm,
        dropout=dropout,
        antialias=antialias,
        bias=norm == "instance",
    )
    network = official(spec)
    manifest = convert(save(tmp_path, G=network), tmp_path / "model")
    assert manifest.networks == {"generator": spec}
    assert manifest.method == ("pix2pix" if dropout else "cut")
    assert manifest.preprocessing.size == (256, 256)
    _, ours = load_bundle(tmp_path / "model")
    assert_same(ours["generator"], network, spec)
    assert_round_trip(tmp_path / "model", {"G": network})


def test_cyclegan_goes_by_the_names_of_its_files(tmp_path: Path) -> None:
    there = ResNetSpec(in_channels=1, out_channels=3, filters=2, blocks=2)
    back = ResNetSpec(in_channels=3, out_channels=1, filters=2, blocks=3)
    networks = {"G_A": official(there), "G_B": official(back, 1)}
    manifest = convert(save(tmp_path, **networks)[::-1], tmp_path / "model", Told(size=64))
    assert manifest.networks == {"gen_ab": there, "gen_ba": back}
    assert manifest.method == "cyclegan"
    assert manifest.preprocessing.size == (64, 64)
    _, ours = load_bundle(tmp_path / "model")
    assert_same(ours["gen_ab"], networks["G_A"], there)
    assert_same(ours["gen_ba"], networks["G_B"], back)
    assert_round_trip(tmp_path / "model", networks)


def reference_files(case: Path, folder: Path) -> tuple[list[Path], dict[str, nn.Module]]:
    """The generators and the encoder of a case as ``.pth`` files."""
    weights = load_file(case / "initial_weights.safetensors")
    networks: dict[str, dict[str, Tensor]] = {}
    for key, value in weights.items():
        name, _, rest = key.partition(".")
        if name in {"G", "E", "G_A", "G_B"}:
            networks.setdefault(name, {})[rest] = value
    return save(folder, **networks), networks  # type: ignore[return-value]


REFERENCE = [
    "bicyclegan_128_defaults",
    "bicyclegan_128_input_cnn_conditional",
    "cyclegan_64_resnet9_no_identity",
    "pix2pix_128_batchnorm",
]


@torch.no_grad()
@pytest.mark.parametrize("name", REFERENCE)
def test_reference_weights_give_the_reference_outputs(
    reference_cases: dict[str, Path], tmp_path: Path, name: str
) -> None:
    case = reference_cases[name]
    paths, given = reference_files(case, tmp_path)
    manifest = convert(paths, tmp_path / "model", Told(dropout=False))
    assert manifest.method == json.loads((case / "case.json").read_text())["method"]
    inputs, expected = load_file(case / "inputs.safetensors"), load_file(case / "expected.safetensors")
    ours = {key: network.double() for key, network in load_bundle(tmp_path / "model")[1].items()}
    inputs = {key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}
    a, b = inputs["step0.A"], inputs["step0.B"]
    found: dict[str, Tensor] = {}
    if manifest.method == "bicyclegan":
        mu, logvar = ours["encoder"](b[:1])
        z = mu + inputs["step0.eps"] * (logvar / 2).exp()
        found = {"mu": mu, "logvar": logvar, "fake_B_encoded": ours["generator"](a[:1], z)}
        found["fake_B_random"] = ours["generator"](a[:1], inputs["step0.z_random"])
    elif manifest.method == "cyclegan":
        found = {"fake_B": ours["gen_ab"](a), "fake_A": ours["gen_ba"](b)}
        found["rec_A"] = ours["gen_ba"](found["fake_B"])
    else:
        sample_as_in_training(ours["generator"])
        found = {"fake_B": ours["generator"](a)}
    for key, value in found.items():
        assert largest(value, expected[f"step0.{key}"]) < TOLERANCE, key
    manifest, networks = load_bundle(tmp_path / "model")
    for path in write_official(tmp_path / "official", manifest, networks):
        state = torch.load(path, weights_only=True)
        before = given[path.stem.removeprefix("latest_net_")]
        assert all(torch.equal(state[key], value) for key, value in before.items())  # type: ignore[union-attr]
        counters = {key for key in state if key.endswith("num_batches_tracked")}
        assert state.keys() - counters == before.keys()  # type: ignore[union-attr]


class Literal128(nn.Module):
    """The generator of the PyTorch project for 128 px, written out: conv, norm, activation; the output as it comes."""

    def __init__(self, filters: int, depth: int, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.depth = depth
        widths = [filters * min(2**level, 8) for level in range(depth)]
        for level, width in enumerate(widths):
            given = channels + latent_dim if level == 0 else widths[level - 1]
            norm = [nn.InstanceNorm2d(width, affine=True)] if level else []
            self.add_module(f"downsample_{level + 1}", nn.Module())
            block = nn.Sequential(nn.Conv2d(given, width, 4, 2, 1), *norm, nn.LeakyReLU(0.2))
            self.get_submodule(f"downsample_{level + 1}").add_module("conv_block", block)
        outputs = [*widths[-2::-1], 3]
        for number, width in enumerate(outputs, 1):
            given = widths[-1] if number == 1 else 2 * outputs[number - 2]
            norm = [] if number == depth else [nn.InstanceNorm2d(width, affine=True), nn.ReLU()]
            self.add_module(f"upsample_{number}", nn.Module())
            block = nn.Sequential(nn.ConvTranspose2d(given, width, 4, 2, 1), *norm)
            self.get_submodule(f"upsample_{number}").add_module("deconv_block", block)

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        x = torch.cat([a, z[:, :, None, None].expand(-1, -1, *a.shape[2:])], 1)
        maps = []
        for level in range(1, self.depth + 1):
            block = self.get_submodule(f"downsample_{level}.conv_block")
            assert isinstance(block, nn.Sequential)
            if level == self.depth and x.shape[-1] == 2:  # old PyTorch: (x - mean) / std of one pixel is 0
                x = F.leaky_relu(block[1].bias[None, :, None, None].expand(len(x), -1, 1, 1), 0.2)
            else:
                x = block(x)
            maps.append(x)
        for number in range(1, self.depth + 1):
            x = x if number == 1 else torch.cat([x, maps[self.depth - number]], 1)
            x = self.get_submodule(f"upsample_{number}.deconv_block")(x)
        return x


class Literal128Encoder(nn.Module):
    def __init__(self, filters: int, latent_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, filters, 4, 2, 1)
        widths = [filters, 2 * filters, 3 * filters, 4 * filters]
        self.res_blocks = nn.Sequential(*(Literal128Block(*pair) for pair in itertools.pairwise(widths)))
        self.fc_mu, self.fc_logvar = (nn.Linear(widths[-1], latent_dim) for _ in range(2))

    def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
        x = F.avg_pool2d(F.leaky_relu(self.res_blocks(self.conv(b)), 0.2), 8).flatten(1)
        return self.fc_mu(x), self.fc_logvar(x)


class Literal128Block(nn.Module):
    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        first = [
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1),
        ]
        then = [
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, out_channels, 3, padding=1),
        ]
        self.conv = nn.Sequential(*first, *then, nn.AvgPool2d(2))
        self.short_cut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.short_cut(x)


@torch.no_grad()
@pytest.mark.parametrize("old", [False, True])
def test_the_project_for_128_px(tmp_path: Path, old: bool) -> None:
    """Also at another size than the one that it was trained at, in tiles, and back to its own files."""
    networks = {"G": Literal128(2, 7, 3, 8), "E": Literal128Encoder(4, 8)}
    torch.manual_seed(0)
    for network in networks.values():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape) / max(1, value[0].numel()) ** 0.5)
        path = tmp_path / f"{'G' if network is networks['G'] else 'E'}.pkl"
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=not old)
    manifest = convert([tmp_path / "E.pkl", tmp_path / "G.pkl"], tmp_path / "model")
    assert manifest.preprocessing.size == (128, 128)
    _, ours = load_bundle(tmp_path / "model")
    z = torch.randn(2, 8)
    for side in (128, 256):
        expected = networks["G"](image(3, side), z)
        assert largest(ours["generator"](image(3, side), z), expected) < TOLERANCE
    assert expected.abs().max() > 1, "without a tanh outputs leave [-1, 1]"
    encoded = [network(image(3, 128)) for network in (ours["encoder"], networks["E"])]
    assert all(largest(*pair) < TOLERANCE for pair in zip(*encoded, strict=True))
    assert_round_trip(tmp_path / "model", networks)
    whole, tiled = (load(tmp_path / "model", device="cpu", tile=tile) for tile in (0, 128))
    picture = (image(3, 256)[:1].numpy().transpose(0, 2, 3, 1)[0] + 1) / 2
    export_onnx(tmp_path / "model", tmp_path / "m.onnx")
    exported = load(tmp_path / "m.onnx", device="cpu")
    for side in (128, 256):
        first, *others = (
            one(picture[:side, :side], z=z[:1].numpy(), fit="pad", output="tensor", value_range=(0, 1))
            for one in ((whole, exported) if side == 128 else (whole, tiled, exported))
        )
        assert all(abs(first - other).max() < TOLERANCE for other in others)
