"""Presets: the settings of published recipes and of this project's demo, by name.

A preset is a set of defaults for one method: options given beside it win.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tandem.config.preset_tables import Preset, all_presets
from tandem.errors import ConfigError, nearest

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in all_presets()})


def find_preset(name: str) -> Preset:
    """The preset `name`.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in PRESETS:
        parts = [known for known in PRESETS if name.casefold() in known.casefold()][:6]
        hint = f" Did you mean {' or '.join(parts)}?" if parts else nearest(name, PRESETS)
        raise ConfigError(f"unknown preset '{name}': the presets are {', '.join(PRESETS)}.{hint}", option="--preset")
    return PRESETS[name]


def preset_options(name: str) -> dict[str, Any]:
    """The options of the preset `name`, the method among them: what `from_flat` takes.

    Raises:
        ConfigError: There is no such preset.
    """
    preset = find_preset(name)
    return {"method": preset.method} | dict(preset.options)
