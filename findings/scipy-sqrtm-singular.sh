#!/usr/bin/env bash
# SciPy 1.17.1, NumPy 2.4.6 (float64)
#
# The Fréchet distance needs the trace of the square root of a product of two covariances. With fewer images than
# features these are singular, as in most evaluations with less than 2,048 images. One would guess that in float64
# scipy.linalg.sqrtm, or the eigenvalues of the product, still give a dozen digits: the rank is exactly known and the
# rest of the spectrum harmless.
# Both keep eight: an eigenvalue of the product that should be 0 is a rounding error of 1e-16, whose square root is
# 1e-8, and there are as many of them as dimensions are missing. The sum of the singular values of the product of the
# two factors (centred features) has no square root of a rounding error in it.
#
#     2000 samples, 300 features (rank 300): sqrtm 9e-16, eigenvalues 2e-16, factors 2e-15
#      200 samples, 300 features (rank 199): sqrtm 7e-09, eigenvalues 5e-09, factors 0e+00
#
# So a Fréchet distance is computed from the factors, not from the product of the covariances.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import scipy.linalg


def errors(samples, features=300):
    """Relative errors of the trace of (S S)^(1/2), which is that of S."""
    random = np.random.default_rng(0)
    rows = np.maximum(random.standard_normal((samples, features)) @ random.standard_normal((features, features)), 0)
    centred = (rows - rows.mean(0)) / np.sqrt(samples - 1)
    covariance = centred.T @ centred
    exact = np.trace(covariance)
    product = covariance @ covariance
    found = {
        "sqrtm": np.trace(scipy.linalg.sqrtm(product)).real,
        "eigenvalues": np.sqrt(np.maximum(np.linalg.eigvals(product).real, 0)).sum(),
        "factors": np.linalg.svd(centred @ centred.T, compute_uv=False).sum(),
    }
    relative = {name: abs(trace / exact - 1) for name, trace in found.items()}
    rank = np.linalg.matrix_rank(covariance)
    line = ", ".join(f"{name} {error:.0e}" for name, error in relative.items())
    print(f"{samples:>5} samples, {features} features (rank {rank}): {line}")
    return relative


regular, singular = errors(2000), errors(200)
assert max(regular.values()) < 1e-13
assert min(singular["sqrtm"], singular["eigenvalues"]) > 1e-10
assert singular["factors"] < 1e-13
PYTHON
