#!/usr/bin/env bash
# torch 2.13.0 (CPU), float64
#
# Compiled code should have the gradients of uncompiled code, up to rounding. Where the scaled sum of a residual block,
# (x + f(x)) / sqrt(2), is doubled by nearest upsampling and goes into a convolution, the usual way up of generators with
# residual blocks, the forward of torch.compile on a CPU is right, and the gradients of all that lies before the upsampling
# are wrong by as much as they are large, without a warning. Without the scaling, or doubled by expand and reshape, they
# are right.
#
#     nearest: forward off by 6e-16, gradients by first 1e+00, norm 1e+00, inner 1e+00, last 5e-16
#     nearest, not scaled: forward off by 8e-16, gradients by first 6e-16, norm 9e-16, inner 4e-16, last 5e-16
#     repeated: forward off by 6e-16, gradients by first 6e-16, norm 4e-16, inner 4e-16, last 5e-16
#
# So networks that are compiled repeat the pixels by their shape, and gradients are compared with uncompiled ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0
cd "$folder"
TORCHINDUCTOR_CACHE_DIR="$folder/cache" "$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(1)


def interpolated(x):
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def repeated(x):
    n, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)


class Network(nn.Module):
    def __init__(self, doubled, scale):
        super().__init__()
        self.doubled = doubled
        self.scale = scale
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(1, 8)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        x = x + self.inner(F.silu(self.norm(x)))
        return self.last(self.doubled(x if self.scale is None else x * self.scale))


def run(network, function, x):
    network.zero_grad()
    y = function(x)
    y.abs().mean().backward()
    return y.detach(), {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def compare(name, doubled, scale=0.5**0.5):
    torch.manual_seed(0)
    network = Network(doubled, scale).double()
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    plain, gradients = run(network, network, x)
    compiled, others = run(network, torch.compile(network), x)
    forward = float((plain - compiled).abs().max())
    worst = {}
    for key, gradient in gradients.items():
        layer = key.partition(".")[0]
        off = float((gradient - others[key]).abs().max() / gradient.abs().max())
        worst[layer] = max(worst.get(layer, 0.0), off)
    listed = ", ".join(f"{layer} {off:.0e}" for layer, off in worst.items())
    print(f"{name}: forward off by {forward:.0e}, gradients by {listed}")
    assert forward < 1e-12, forward
    return worst


worst = compare("nearest", interpolated)
assert min(worst["first"], worst["norm"], worst["inner"]) > 0.1, worst
worst = compare("nearest, not scaled", interpolated, scale=None)
assert max(worst.values()) < 1e-10, worst
worst = compare("repeated", repeated)
assert max(worst.values()) < 1e-10, worst
PYTHON
