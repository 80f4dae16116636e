"""The ES modules of the page: which of them an entry needs, and all of them as one script.

They are written for it: an import or an export stands on a line of its own.
"""

import importlib.resources
import re
from collections.abc import Mapping

_IMPORT = re.compile(r'^import \{ (.+) \} from "\./(.+)";$', re.MULTILINE)
_DECLARED = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
_EXPORTS_AT_END = re.compile(r"export\s*\{([^{}]+)\};?\s*(//# sourceMappingURL=\S*)?\s*\Z")
_LISTED = re.compile(r"^export \{ (.+) \};$", re.MULTILINE)


def page_texts() -> dict[str, str]:
    """The files of the page by their names."""
    folder = importlib.resources.files("tandem.serving").joinpath("page")
    return {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir() if one.is_file()}


def needed(texts: Mapping[str, str], entry: str) -> list[str]:
    """The modules that `entry` needs, each behind those that it imports, itself last."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name not in found:
            for _, imported in _IMPORT.findall(texts[name]):
                visit(imported)
            found.append(name)

    visit(entry)
    return found


def bundled(texts: Mapping[str, str], entry: str) -> str:
    """One script that does what the module `entry` does: each module is a function that gives its exports."""
    return "\n".join(_as_function(name, texts[name]) for name in needed(texts, entry))


def as_expression(module: str) -> str:
    """A minified module, whose exports stand at its end, as an expression that gives them.

    From a file browsers load no modules in a worker, so a page of one file has none.
    """
    found = _EXPORTS_AT_END.search(module)
    assert found is not None, "the module is a known one"
    pairs = [part.split(" as ") for part in found[1].split(",")]
    given = ", ".join(f"{names[-1].strip()}: {names[0].strip()}" for names in pairs)
    body = module[: found.start()].replace("import.meta.url", "self.location.href")
    return f"(() => {{\n{body}\nreturn {{ {given} }};\n}})()"


def _as_function(name: str, text: str) -> str:
    exports = [declared for _, declared in _DECLARED.findall(text)]
    exports += [one.strip() for listed in _LISTED.findall(text) for one in listed.split(",")]
    text = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_variable(found[2])};", text)
    text = _LISTED.sub("", _DECLARED.sub(r"\1", text))
    return f"const {_variable(name)} = (() => {{\n{text}\nreturn {{ {', '.join(exports)} }};\n}})();"


def _variable(name: str) -> str:
    return f"module_{re.sub(r'[^0-9a-zA-Z]', '_', name.removesuffix('.js'))}"
