"""Imports point one way: `wire`, `engines` ← `deployments` ← `serve_app`, and Ray stays outside of
what must run without it. `web_server` knows of all these only `wire`. All may stand on
`foundation`, which knows nobody."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

FORBIDDEN = {
    "foundation": {"wire", "engines", "deployments", "serve_app", "cli", "web_server", "ray"},
    "wire": {"engines", "deployments", "serve_app", "cli", "web_server", "ray", "fastapi"},
    "engines": {"wire", "deployments", "serve_app", "cli", "web_server", "ray", "fastapi"},
    "deployments": {"serve_app", "cli", "web_server", "fastapi"},
    "serve_app": {"cli", "web_server"},
    "web_server": {"engines", "deployments", "serve_app", "cli", "ray"},
}


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_point_one_way(package: str) -> None:
    files = sorted((PROJECT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file) & FORBIDDEN[package], file


def test_only_the_graphs_entry_knows_ray_in_the_gateway() -> None:
    knowing = {f.name for f in (PROJECT / "serve_app").rglob("*.py") if "ray" in imported(f)}
    assert knowing == {"app.py"}
