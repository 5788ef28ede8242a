"""House rules that a reader can rely on: imports go downward, functions and files stay short."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "melanoma_tf"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION, LONGEST_FILE = 60, 400

# Lowest first: a package imports from lower floors, or within itself.
FLOORS = (
    ("core", "__init__"),
    ("datasets", "images"),
    ("phantoms", "augmentation", "records"),
    ("training", "evaluation", "pretrained"),
    ("backbones",),
    ("segmentation",),
    ("purification",),
    ("generation",),
    ("classification",),
    ("serving",),
    ("workflows",),
    ("cli",),
    ("__main__",),
)
RANKS = {name: rank for rank, floor in enumerate(FLOORS) for name in floor}


def layer(module: str) -> str:
    """The package that a module lies in."""
    return module.split(".")[0]


def imported_modules(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import on line {node.lineno}"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=own_name)
def test_imports_go_to_a_lower_layer_or_stay_in_the_folder(path):
    own = own_name(path)
    for name in imported_modules(path):
        if not name.startswith("melanoma_tf."):
            continue
        target = name[len("melanoma_tf.") :]
        if target.startswith("__"):
            continue
        same_folder = target.split(".")[0] == own.split(".")[0] and len(own.split(".")) > 1
        assert same_folder or RANKS[layer(target)] < RANKS[layer(own)], f"{own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=own_name)
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{path}: {node.name}"


def top_level_imports(path: Path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", ["datasets", "phantoms"])
def test_layers_without_tensorflow(folder):
    for path in (PACKAGE / folder).rglob("*.py"):
        for name in imported_modules(path):
            assert name.split(".")[0] not in {"tensorflow", "keras", "tensorflow_io"}, path


def test_addons_and_io_are_each_imported_in_one_module_only():
    for package in ("tensorflow_addons", "tensorflow_io"):
        users = [
            own_name(path)
            for path in MODULES
            if any(name.split(".")[0] == package for name in imported_modules(path))
        ]
        assert len(users) <= 1, f"{package} is imported by {users}"


ROOT = PACKAGE.parent
SOURCES = [
    *MODULES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "scripts").rglob("*.py")),
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_keras_comes_from_the_one_module_that_chooses_it(path):
    if path == PACKAGE / "core" / "keras.py":
        return
    for name in imported_modules(path):
        assert not re.match(r"(tensorflow\.)?(tf_)?keras(\.|$)", name), f"{path} imports {name}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "keras":
            assert ast.unparse(node.value) not in ("tf", "tensorflow"), f"{path}:{node.lineno}"


def test_command_line_imports_nothing_heavy_at_the_top():
    for path in (PACKAGE / "cli").rglob("*.py"):
        heavy = set(top_level_imports(path)) - {
            "__future__", "collections", "click", "contextlib", "dataclasses", "functools", "json",
            "logging", "melanoma_tf", "os", "pathlib", "sys", "typing",
        }  # fmt: skip
        assert not heavy, f"{path} imports {heavy} at the top"
