"""The directions that docs/architecture.md promises, read from the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCE = CHECKOUT / "src" / "rookery"

SERVICES = {"api", "mapping", "host", "blackfoot", "hyperplane", "metrics"}
MAY_IMPORT = {
    "model": set(),
    "store": {"model"},
    "intent": {"model", "store"},
    "dataplane": set(),
    "vm": set(),
    "api": {"model", "store", "intent", "hyperplane", "metrics"},
    "mapping": {"model", "store", "intent"},
    "host": {"model", "intent", "dataplane", "mapping", "vm"},
    "blackfoot": {"model", "intent", "dataplane", "mapping", "host"},
    "hyperplane": {"model", "store", "intent", "dataplane", "mapping", "host"},
    "metrics": {"model", "store", "intent", "dataplane", "hyperplane"},
    "region": {"model", "store", "intent", "dataplane", "vm", *SERVICES},
    "trace": {"model", "dataplane", "host", "region"},
    "tour": {"model", "host", "region", "trace"},
    "cli": {"store", "region", "trace", "tour"},
}
ANYWHERE = {"ending", "files", "log"}
NOT_PURE = {"asyncio", "os", "pathlib", "socket", "subprocess", "threading", "time", "rookery.store.sqlite"}
PURE = ("model", "intent")


def imports(file: Path) -> set[str]:
    """Modules, by their dotted names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(file: Path) -> set[str]:
    """Those of Rookery."""
    names = (name.split(".") for name in imports(file))
    return {parts[1] for parts in names if parts[0] == "rookery" and len(parts) > 1}


def files(package: str) -> list[Path]:
    return sorted((SOURCE / package).rglob("*.py"))


def test_every_folder_has_its_place_in_the_order():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == MAY_IMPORT.keys() | {"testing"}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_down_only(package):
    wrong = {
        str(file.relative_to(SOURCE)): odd
        for file in files(package)
        if (odd := packages(file) - MAY_IMPORT[package] - ANYWHERE - {package})
    }
    assert wrong == {}


@pytest.mark.parametrize("package", PURE)
def test_what_is_pure_does_no_input_and_no_output(package):
    impure = {file.name: imports(file) & NOT_PURE for file in files(package)}
    assert {name: found for name, found in impure.items() if found} == {}


def test_no_two_files_import_each_other_even_through_others():
    graph = {module_of(file): imports(file) for file in files(".")}
    order: dict[str, int] = {}
    for module in graph:
        visit(module, graph, order, ())


def visit(module: str, graph: dict[str, set[str]], order: dict[str, int], path: tuple[str, ...]) -> None:
    assert module not in path, f"a circle: {' -> '.join((*path, module))}"
    if module in order:
        return
    for following in sorted(graph[module] & graph.keys()):
        visit(following, graph, order, (*path, module))
    order[module] = len(order)


def module_of(file: Path) -> str:
    parts = file.resolve().relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_documented_layout_names_every_folder():
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    assert [name for name in (*MAY_IMPORT, "testing") if f"  {name}/ " not in text] == []
