"""YAML of others, read into plain values: no objects, and no names that stand for lists of lists without end."""

from typing import Any


def load_yaml(text: str) -> Any:
    """The values of a YAML text.

    Raises:
        yaml.MarkedYAMLError: It is no YAML, or an alias stands for more than a single value.
        Exception: It holds values that cannot be read, e.g. the 45th of a month, thousands of digits.
    """
    import yaml  # noqa: PLC0415  (start-up time)

    return yaml.load(text, _loader(yaml))


def _loader(yaml: Any) -> Any:
    """A safe loader in which names stand for single values alone: lists of lists of names grow without end."""

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()
                if not isinstance(self.anchors.get(event.anchor), yaml.ScalarNode | None):
                    problem = f"*{event.anchor} stands for more than one value, which no option needs"
                    raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
            return super().compose_node(parent, index)

    return Loader
