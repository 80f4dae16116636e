"""From a file of weights to the network that they belong to."""

from pathlib import Path

from torch import Tensor

from tandem.config.specifications import BackboneName
from tandem.errors import WeightsError
from tandem.networks.backbones.classifiers import Backbone, without_classifier
from tandem.networks.backbones.mobilenet import MobileNet, mobilenet_from_arrays
from tandem.networks.backbones.tensor_files import load_strictly, read_arrays, read_state_dict

_FIRST = "features.0.weight"


def read_backbone(path: Path) -> Backbone | MobileNet:
    """The network whose weights a file holds: MobileNet v1 (.npz), or VGG16, AlexNet or SqueezeNet 1.1.

    Args:
        path: NumPy arrays under TensorFlow's names (.npz), or a state dict under torchvision's (.pth, .safetensors).

    Returns:
        The network on the CPU, as in inference, without gradients for its weights.

    Raises:
        WeightsError: The file cannot be read, is too large, or holds something else.
    """
    if path.suffix.lower() == ".npz":
        network: Backbone | MobileNet = mobilenet_from_arrays(read_arrays(path), name=str(path))
    else:
        state = read_state_dict(path)
        network = Backbone(_name_of(state, path))
        load_strictly(network, without_classifier(network, state), name=str(path))
    return network.eval().requires_grad_(False)


def _name_of(state: dict[str, Tensor], path: Path) -> BackboneName:
    """Told apart by their first layers, since the names in a file say nothing of the network."""
    if _FIRST not in state:
        raise WeightsError(
            f"{path} holds no {_FIRST}; expected the weights of VGG16, AlexNet or SqueezeNet 1.1 under torchvision's "
            "names (.pth, .safetensors), or of MobileNet v1 (.npz)."
        )
    if "features.3.squeeze.weight" in state:
        return "squeeze"
    return "alex" if state[_FIRST].shape[-1:] == (11,) else "vgg"
