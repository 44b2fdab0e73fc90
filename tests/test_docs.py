"""The pages in docs/ against the code: generated pages, commands, links, names."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import pkgutil
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from edgesr.cli import app
from edgesr.recipe import Recipe

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@cache
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "recipe_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(group: Any, prefix: str = "edgesr") -> dict[str, Any]:
    """Every command that can be typed, by its full name."""
    found = {}
    for name, command in group.commands.items():
        inner = commands(command, f"{prefix} {name}") if hasattr(command, "commands") else {}
        found |= inner or {f"{prefix} {name}": command}
    return found


COMMANDS = commands(typer.main.get_command(app))


def options(command: Any) -> set[str]:
    return {opt for param in command.params for opt in param.opts if opt.startswith("--")}


def section(page: str, title: str) -> str:
    body = page.partition(f"## {title}\n")[2]
    return body.partition("\n## ")[0]


def test_the_recipe_reference_is_what_the_types_say() -> None:
    assert (DOCS / "recipes.md").read_text(encoding="utf-8") == reference().page(), (
        "run: python docs/recipe_reference.py"
    )


def test_the_recipe_reference_names_every_key() -> None:
    page = reference().page()
    for table in Recipe.model_json_schema()["$defs"].values():
        for key in table["properties"]:
            assert re.search(rf"`{key}`|\.{key}\]+`", page), key


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_commands_names_every_option_and_no_other(name: str) -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--[a-z0-9-]+", section(page, name)))
    assert options(COMMANDS[name]) == named


def typed(page: Path) -> Iterator[list[str]]:
    """The words of every edgesr command in a fenced block of `page`."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words and words[0] == "edgesr":
            yield words


@by_page
def test_the_commands_in_a_page_exist_with_their_options(page: Path) -> None:
    for words in typed(page):
        name = " ".join(words[:3] if words[1] in ("recipe", "bundle") else words[:2])
        assert name in COMMANDS, words
        assert {word for word in words if word.startswith("--")} <= options(COMMANDS[name]), words


def links(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"\[([^\]]*)\]\(([^)\s]*)\)", page.read_text(encoding="utf-8"))


@by_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for _, target in links(page):
        file, _, anchor = target.partition("#")
        if "://" not in target:
            other = page.parent / file if file else page
            assert other.exists(), target
            assert not anchor or anchor in anchors(other), target


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    titles = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@by_page
def test_the_code_that_a_page_links_to_has_these_names(page: Path) -> None:
    for text, target in links(page):
        if text.startswith("`") and target.startswith("../edgesr/") and target.endswith(".py"):
            module = target.removeprefix("../").removesuffix(".py").replace("/", ".")
            pkgutil.resolve_name(f"{module}:{text.strip('`')}")


@by_page
def test_the_python_of_a_page_calls_what_exists_with_its_arguments(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        tree = ast.parse(block)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names: dict[str, Any] = {}
        exec(compile(ast.Module(imports, []), page.name, "exec"), names)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            if re.fullmatch(r"\w+(\.\w+)*", called) and called.split(".")[0] in names:
                check_call(eval(called, names), call)


def check_call(function: Any, call: ast.Call) -> None:
    """Raise TypeError unless one of edgesr's functions takes the arguments of `call`."""
    starred = any(keyword.arg is None for keyword in call.keywords)
    starred |= any(isinstance(argument, ast.Starred) for argument in call.args)
    if (getattr(function, "__module__", None) or "").startswith("edgesr") and not starred:
        keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(function).bind(*call.args, **keywords)


@by_page
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    places = "tests|edgesr|benchmarks|examples|recipes"
    for name in re.findall(rf"`((?:{places})/[\w./-]+\.\w+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


RECIPE_TABLES = set(Recipe.model_fields) - {"name", "seed", "licence"}
FILES = (
    *("json", "md", "onnx", "tflite", "pte", "ort", "mlpackage", "zip"),
    *("py", "safetensors", "toml", "html", "config"),
)


@by_page
def test_the_recipe_keys_in_a_page_exist(page: Path) -> None:
    properties = keys("", Recipe.model_json_schema(), Recipe.model_json_schema()["$defs"])
    for key in re.findall(r"`([a-z]+\.[a-z0-9_.]*[a-z0-9_])(?: = [^`]*)?`", page.read_text()):
        if key.split(".")[0] in RECIPE_TABLES and not key.endswith(FILES):
            assert key in properties, key


def keys(path: str, table: dict[str, Any], known: dict[str, Any]) -> set[str]:
    """Every dotted key that a recipe may have."""
    found = set()
    for key, field in table["properties"].items():
        found.add(path + key)
        for inner in reference()._tables(field, known):
            found |= keys(f"{path}{key}.", inner, known)
    return found


def modules() -> list[str]:
    package = ROOT / "edgesr"
    return [path.relative_to(package).as_posix() for path in sorted(package.rglob("*.py"))]


def test_the_architecture_page_names_every_module_and_no_other() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named, folder = set(), ""
    lines = r"^(  )?(\w+\.py|[\w/]+/$)"
    for indent, name in re.findall(lines, section(page, "Rooms"), re.MULTILINE):
        if name.endswith("/"):
            folder = name
        else:
            named.add(folder + name if indent else name)
    expected = {name for name in modules() if not name.endswith(("__init__.py", "__main__.py"))}
    assert named == expected
