"""Hold Tandem's image metrics against numbers of the reference libraries.

    python tools/check_metrics.py DIR

DIR holds stored inputs, the numbers that lpips, torch-fidelity, pytorch-fid, clean-fid, prdc, torchmetrics and
pytorch-msssim gave for them, and lists of the weights that networks were filled with (``*_keys.json``); of trained
weights only LPIPS' heads are needed. One line is printed per case: ok or FAIL, the largest deviation, the tolerance.
The exit status is 1 when a deviation is above its tolerance, 2 when something cannot be read.

Numbers are float64 and compared at 1e-6 (relative, or absolute for features and pixels), unless a case says otherwise.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tandem.config.specifications import BackboneName
from tandem.errors import TandemError
from tandem.evaluation.metrics import frechet_distance, kid, ms_ssim, prdc, psnr, ssim
from tandem.evaluation.metrics.frechet import statistics_of
from tandem.evaluation.metrics.kid import kid_subsets
from tandem.evaluation.networks.features import FeatureExtractor, FeatureSpec, InputSpec
from tandem.evaluation.networks.inception import INPUT_SIZE, TAP_SIZES, InceptionFID, Tap, load_inception
from tandem.evaluation.networks.lpips import LPIPS, LPIPSVersion
from tandem.evaluation.networks.resize import Resizer, resize_images
from tandem.evaluation.networks.weights import WeightsSource
from tandem.networks.backbones.classifiers import Backbone
from tandem.networks.backbones.tensor_files import read_arrays, read_state_dict

Case = tuple[str, float, float]
"""What was compared, the largest deviation, and the tolerance."""

NETWORKS: tuple[BackboneName, ...] = ("alex", "vgg", "squeeze")
VERSIONS: tuple[LPIPSVersion, ...] = ("v0.0", "v0.1")
METHODS: dict[Resizer, str] = {
    "clean": "clean_fid_pil_bicubic",
    "torch-fidelity": "torch_fidelity_tf1_bilinear",
    "pytorch-fid": "pytorch_fid_bilinear_half_pixel",
}
UNREADABLE = (TandemError, OSError, KeyError, IndexError, TypeError, ValueError, RuntimeError)


class CaseError(Exception):
    """A file that is not of the expected form."""


@dataclass(frozen=True)
class Precision:
    """What is computed in, and how far the numbers may be off."""

    name: str
    dtype: torch.dtype
    features: float
    lpips: float


FLOAT64 = Precision("f64", torch.float64, features=1e-6, lpips=1e-6)
# A few times what the libraries' own float32 runs are off.
FLOAT32 = Precision("f32", torch.float32, features=5e-6, lpips=5e-6)


def filled(keys_file: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights by the fill rule: the i-th floating tensor is drawn with the seed 1000 + i, and scaled by its kind."""
    listed = read_json(keys_file)["tensors"]
    if {entry["key"]: tuple(entry["shape"]) for entry in listed} != shapes:
        raise CaseError(f"{keys_file.name} lists other tensors than the network has, or other shapes")
    state: dict[str, Tensor] = {}
    for entry in listed:
        if entry["i"] is None:  # num_batches_tracked
            continue
        x = np.random.default_rng(1000 + entry["i"]).standard_normal(entry["shape"])
        values = _scaled(x, entry["kind"]).astype(np.float32)
        found = [*values.ravel()[:3].tolist(), values.sum(dtype=np.float64)]
        if not np.allclose(found, [*entry["first3"], entry["sum"]], rtol=1e-6, atol=1e-6):
            raise CaseError(f"NumPy's stream of random numbers is another one: {entry['key']} differs")
        state[entry["key"]] = torch.from_numpy(values)
    return state


def _scaled(x: np.ndarray, kind: str) -> np.ndarray:
    match kind:
        case "weight":
            return np.sqrt(2 / x[0].size) * x
        case "bias":
            return 0.01 * x
        case "bn_weight":
            return 1 + 0.05 * x
        case "bn_bias" | "bn_running_mean":
            return 0.05 * x
        case "bn_running_var":
            return np.exp(0.1 * x)
    raise CaseError(f"the kind of tensor '{kind}' is not known")


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def absolute(found: Any, expected: Any, *, scale: Any = 1.0) -> float:
    """Largest deviation; NaN if there is one."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape:
        raise CaseError(f"the shape {a.shape} is compared with {b.shape}")
    return float(np.max(np.abs(a - b) / scale))


def relative(found: Any, expected: Any) -> float:
    """Largest relative deviation."""
    return absolute(found, expected, scale=np.abs(np.asarray(expected, np.float64)))


def lpips_cases(folder: Path) -> Iterator[Case]:
    images = {name: torch.from_numpy(array) for name, array in read_arrays(folder / "lpips_inputs.npz").items()}
    expected = read_json(folder / "lpips_expected.json")
    for name in NETWORKS:
        backbone = filled(folder / f"lpips_{name}_keys.json", shapes_of(Backbone(name)))
        for version in VERSIONS:
            heads = read_state_dict(folder / "lpips_heads" / version / f"{name}.safetensors")
            distance = LPIPS(name, version, backbone=backbone, heads=heads)
            for precision, key in ((FLOAT32, "distance_float32"), (FLOAT64, "distance")):
                distance.to(precision.dtype)
                for size in ("64", "128x96"):
                    numbers = expected[name][version][f"pairs_{size}"]
                    parts = distance.per_layer(images[f"a_{size}"], images[f"b_{size}"]).double().numpy()
                    case = f"lpips {version} {name} {size} {precision.name}"
                    yield case, relative(parts.sum(1), numbers[key]), precision.lpips
                    if precision is FLOAT64:
                        yield f"{case} per layer", relative(parts, numbers["per_layer"]), precision.lpips


def feature_cases(folder: Path) -> Iterator[Case]:
    images = torch.from_numpy(read_arrays(folder / "fid_inputs.npz")["images"])
    expected = read_arrays(folder / "fid_expected.npz")
    state = filled(folder / "fid_inception_keys.json", shapes_of(InceptionFID()))
    network = load_inception(state).eval()
    pairs: tuple[tuple[str, Resizer], ...] = (
        ("torch_fidelity", "torch-fidelity"),
        ("pytorch_fid", "pytorch-fid"),
        ("assembled_clean", "clean"),
    )
    for precision in (FLOAT32, FLOAT64):
        network.to(precision.dtype)
        for library, resizer in pairs:
            taps = cast("list[Tap]", [tap for tap in TAP_SIZES if f"{library}.{precision.name}.{tap}" in expected])
            extractor = FeatureExtractor(_spec(resizer, precision), network, torch.device("cpu"))
            with torch.inference_mode():
                found = network(extractor.preprocess(images), taps)
            for tap in taps:
                case = f"{library}.{precision.name}.{tap}"
                yield f"fid features {case}", absolute(found[tap].numpy(), expected[case]), precision.features


def _spec(resizer: Resizer, precision: Precision) -> FeatureSpec:
    value = 127.5 if resizer == "pytorch-fid" else 128.0
    return FeatureSpec(
        network="inception-fid",
        tap="2048",
        num_features=2048,
        resizer=resizer,
        input=InputSpec((INPUT_SIZE, INPUT_SIZE), (value,), (value,)),
        precision="float64" if precision is FLOAT64 else "float32",
        weights=WeightsSource("inception", Path("filled by rule"), "", published=False),
    )


def set_cases(folder: Path) -> Iterator[Case]:
    sets = read_arrays(folder / "feature_sets.npz")
    real, fake = sets["real"], sets["fake"]
    expected = read_json(folder / "feature_sets_expected.json")
    for key, rows in (("frechet", None), ("frechet_rank_deficient_first_40_rows", 40)):
        found = frechet_distance(statistics_of(real[:rows]), statistics_of(fake[:rows]))
        for name, value in expected[key].items():
            if name == "parts":
                ours = [found.mean_term, found.trace_real, found.trace_fake, found.trace_root]
                names = ("mean_term", "trace_cov_real", "trace_cov_fake", "trace_sqrt")
                yield f"{key} parts", relative(ours, [value[part] for part in names]), 1e-6
            else:
                yield f"{key} {name}", relative(found.value, value), 1e-6
    numbers = expected["kid"]
    for name, value in numbers.items():
        if name.startswith("full_set_unbiased_300") or "first_280" in name:
            found_kid = kid(real if "300" in name else real[:280], fake, num_resamples=0).value
            yield f"kid {name}", relative(found_kid, value), 1e-6
        elif name.startswith("torch_fidelity_subsets_100_size_"):
            size = int(name.removeprefix("torch_fidelity_subsets_100_size_").partition("_")[0])
            subsets = kid_subsets(real, fake, subset_size=size)
            tolerance = 5e-6 if "float32" in name else 1e-6  # the library's float32 features are 2e-6 off
            yield f"kid {name}", relative([subsets.mean, subsets.std], [value["mean"], value["std"]]), tolerance
    first = kid_subsets(real, fake, num_subsets=1, subset_size=100).values[0]
    yield "kid first subset of 100", relative(first, numbers["first_subset_of_size_100"]["mmd"]), 1e-6
    for k in (3, 5):
        found_prdc = prdc(real, fake, k=k)
        for name in ("precision", "recall", "density", "coverage"):
            yield f"prdc k={k} {name}", relative(getattr(found_prdc, name), expected[f"prdc_k{k}"][name]), 1e-6
        for name in ("precision", "recall"):
            value = expected[f"torch_fidelity_precision_recall_k{k}"][name]
            yield f"torch-fidelity k={k} {name} (float32)", relative(getattr(found_prdc, name), value), 1e-6
        f_score = 2 / (1 / found_prdc.precision + 1 / found_prdc.recall)
        value = expected[f"torch_fidelity_precision_recall_k{k}"]["f_score"]
        yield f"torch-fidelity k={k} f_score (float32)", relative(f_score, value), 1e-6


def paired_cases(folder: Path) -> Iterator[Case]:
    images = {name: torch.from_numpy(array) for name, array in read_arrays(folder / "ssim_inputs.npz").items()}
    expected = read_json(folder / "ssim_expected.json")
    # Name in the file, our function, tolerance. torchmetrics' PSNR is 1.3e-6 dB off, and its float32 SSIM 1.2e-5;
    # pytorch-msssim's window is float32.
    functions: tuple[tuple[str, Callable[[Tensor, Tensor], Tensor], float], ...] = (
        ("psnr_formula", psnr, 1e-6),
        ("psnr_torchmetrics", psnr, 1e-6),
        ("psnr_torchmetrics_float32", psnr, 1e-6),
        ("mse", lambda a, b: 10 ** (-psnr(a, b) / 10), 1e-6),
        ("ssim_torchmetrics", ssim, 1e-6),
        ("ssim_torchmetrics_float32", ssim, 5e-5),
        ("ssim_torchmetrics_map_interior_mean", partial(ssim, border="valid"), 1e-6),
        ("ssim_pytorch_msssim", partial(ssim, border="valid"), 1e-5),
        ("ms_ssim_torchmetrics", ms_ssim, 1e-6),
        ("ms_ssim_torchmetrics_float32", ms_ssim, 1e-5),
        ("ms_ssim_pytorch_msssim", partial(ms_ssim, border="valid"), 1e-6),
    )
    for size in ("64", "192"):
        pairs = expected[f"pairs_{size}"]
        a, b = images[f"pred_{size}"], images[f"target_{size}"]
        for name, function, tolerance in functions:
            if name in pairs[0]:
                yield f"{name} {size}", relative(function(a, b).numpy(), [pair[name] for pair in pairs]), tolerance
    both, a, b = expected["batch_of_both_64_pairs"], images["pred_64"], images["target_64"]
    pooled = -10 * torch.log10((10 ** (-psnr(a, b) / 10)).mean())
    yield "psnr batch pooled", relative(pooled, both["psnr_torchmetrics"]), 1e-6
    yield "psnr batch mean", relative(psnr(a, b).mean(), both["psnr_torchmetrics_mean_of_per_image"]), 1e-6
    yield "ssim batch mean", relative(ssim(a, b).mean(), both["ssim_torchmetrics"]), 1e-6


def resize_cases(folder: Path) -> Iterator[Case]:
    images = read_arrays(folder / "resize_inputs.npz")
    images["fid_image_0"] = read_arrays(folder / "fid_inputs.npz")["images"][0].transpose(1, 2, 0)
    expected = read_json(folder / "resize_expected.json")
    grid = np.ix_(expected["grid_rows_and_columns"], expected["grid_rows_and_columns"])
    for name, numbers in expected["images"].items():
        batch = torch.from_numpy(images[name]).permute(2, 0, 1)[None]
        for resizer, method in METHODS.items():
            for precision in (FLOAT32, FLOAT64):
                size = (INPUT_SIZE, INPUT_SIZE)
                resized = resize_images(batch, size, resizer=resizer, dtype=precision.dtype)
                pixels = resized[0].permute(1, 2, 0).double().numpy()
                found = [pixels[grid]] + [getattr(pixels, part)(axis=(0, 1)) for part in ("mean", "std", "min", "max")]
                wanted = [numbers[method][part] for part in ("grid", "mean", "std", "min", "max")]
                tolerance = 1e-4 if resizer == "clean" or precision is FLOAT32 else 1e-6
                deviation = max(absolute(a, b) for a, b in zip(found, wanted, strict=True))
                yield f"resize {method} {name} {precision.name}", deviation, tolerance


GROUPS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "resize": resize_cases,
    "paired": paired_cases,
    "sets": set_cases,
    "lpips": lpips_cases,
    "features": feature_cases,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="stored inputs and expected numbers")
    parser.add_argument("--only", choices=[*GROUPS], nargs="+", default=[*GROUPS], help="groups of cases")
    arguments = parser.parse_args()
    failed = num_cases = 0
    try:
        for group in arguments.only:
            for case, deviation, tolerance in GROUPS[group](arguments.folder):
                passed = deviation <= tolerance  # false for NaN
                failed += not passed
                num_cases += 1
                word = "ok" if passed else "FAIL"
                print(f"{word} {case}: deviation {deviation:.1e}, tolerance {tolerance:.0e}", flush=True)
    except (CaseError, *UNREADABLE) as error:
        print(f"cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{num_cases} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
