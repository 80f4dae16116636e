"""The options of priors: which go together."""

from typing import Any

import pytest

from tandem.config.latent_prior import most_components
from tandem.config.run import from_flat
from tandem.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "pix2pix-noise", "prior": "mixture"}, "no encoder is trained"),
        ({"prior": "gaussian", "prior_components": 4}, "without --prior mixture"),
        ({"prior": "mixture", "prior_components": 300}, "256"),
        ({"prior": "mixture", "prior_components": 0}, "from 1 to 256"),
        ({"prior": "mixture", "latent_dim": 512, "prior_components": 32}, "at most 16 with --latent-dim 512"),
        ({"prior": "gaussian", "latent_dim": 4096}, "does not go with --latent-dim 4096"),
        ({"prior": "normal", "prior_images": 0}, "at least 1"),
        ({"prior": "uniform"}, "normal, gaussian, mixture"),
    ],
)
def test_options_that_give_no_prior_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_flat({"method": "bicyclegan"} | options)


@pytest.mark.parametrize(
    ("method", "expected"),
    [("bicyclegan", True), ("cvae-gan", False), ("cae-gan", False), ("cvae-gan++", True), ("clr-gan", True)],
)
def test_which_generators_are_trained_with_draws(method: str, expected: bool) -> None:
    assert from_flat({"method": method}).objective.trains_on_draws is expected  # type: ignore[attr-defined]


def test_options_that_give_one_are_taken() -> None:
    assert from_flat({"method": "clr-gan", "prior": "mixture"}).objective.prior == "mixture"  # type: ignore[attr-defined]
    options = {"method": "bicyclegan", "prior": "mixture", "prior_components": 64}
    assert from_flat(options).objective.prior_components == 64  # type: ignore[attr-defined]
    assert from_flat({"method": "bicyclegan"}).objective.prior == "normal"  # type: ignore[attr-defined]
    assert from_flat({"method": "tandem"}).objective.prior == "mixture"  # type: ignore[attr-defined]
    assert most_components(8) == 256
    assert most_components(2048) == 1
