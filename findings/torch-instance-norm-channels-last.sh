#!/usr/bin/env bash
# torch 2.13.0 (CPU), float64
#
# The backward of a layer is a linear function of the gradient that comes in, whatever that gradient's strides are. One
# would guess so of instance norm too, and training on single images (CycleGAN, CUT: batches of one) relies on it.
# With a batch of one image, and a gradient in channels-last layout, the gradient that comes out is wrong, without a
# warning; of two images it is right. Gathering features at some positions, as contrastive losses do, makes such a
# gradient by itself, so that the slope of the loss below is not that of a finite difference.
#
#     1 image(s): contiguous off by 0.000, channels last off by 6.367 of the right slope
#     2 image(s): contiguous off by 0.000, channels last off by 0.000 of the right slope
#     gathered features of 1 image: finite difference -1.128, autograd 3.425
#
# So the gradient of a single image is made contiguous before the norm's backward, and steps are checked by differences.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def draw(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slope(loss, x, direction, step=1e-6):
    return float((loss(x + step * direction) - loss(x - step * direction)) / (2 * step))


def along(loss, x, direction):
    x = x.clone().requires_grad_()
    loss(x).backward()
    return float((x.grad * direction).sum())


def deviation(images):
    x, direction, given = (draw(images, 3, 4, 5, seed=seed) for seed in range(3))
    right = slope(lambda x: (F.instance_norm(x) * given).sum(), x, direction)
    found = []
    for gradient in (given, given.contiguous(memory_format=torch.channels_last)):
        leaf = x.clone().requires_grad_()
        F.instance_norm(leaf).backward(gradient)
        found.append(abs(float((leaf.grad * direction).sum()) / right - 1))
    print(f"{images} image(s): contiguous off by {found[0]:.3f}, channels last off by {found[1]:.3f} of the right slope")
    return found


def contrast(x):
    features = F.instance_norm(x).permute(0, 2, 3, 1).flatten(1, 2)
    return (features[:, [0, 3, 7, 11, 15, 19]][0] * draw(6, 3, seed=3)).sum()


one, two = deviation(1), deviation(2)
assert max(one[0], *two) < 1e-6, (one, two)
assert one[1] > 0.05, one
x, direction = draw(1, 3, 4, 5, seed=4), draw(1, 3, 4, 5, seed=5)
difference, autograd = slope(contrast, x, direction), along(contrast, x, direction)
print(f"gathered features of 1 image: finite difference {difference:.3f}, autograd {autograd:.3f}")
assert abs(autograd / difference - 1) > 0.05, (difference, autograd)
PYTHON
