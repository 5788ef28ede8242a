"""The wheel holds the package whole and nothing else; workflow and container files are sound."""

import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from scripts.check_wheel import PACKAGE, package_files, problems, source_problems

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def tree(tmp_path):
    """A small package with weights, as the repository has one."""
    for name in ("__init__.py", "pretrained/weights.npz", "__pycache__/a.pyc"):
        path = tmp_path / "tree" / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    return tmp_path / "tree"


def wheel_of(folder, names):
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return wheel


WHOLE = (
    f"{PACKAGE}/__init__.py",
    f"{PACKAGE}/pretrained/weights.npz",
    f"{PACKAGE}-1.dist-info/METADATA",
    f"{PACKAGE}-1.dist-info/licenses/LICENSE",
    f"{PACKAGE}-1.dist-info/licenses/NOTICE",
)


def test_a_whole_wheel_has_no_problem(tree, tmp_path):
    assert problems(wheel_of(tmp_path, WHOLE), tree) == []


def test_what_lacks_and_what_is_too_much_is_named(tree, tmp_path):
    wheel = wheel_of(tmp_path, [*WHOLE[:1], *WHOLE[2:-1], "tests/test_all.py"])
    assert problems(wheel, tree) == [
        f"{PACKAGE}/pretrained/weights.npz is missing",
        "tests/test_all.py does not belong in it",
        "NOTICE is missing",
    ]


def test_a_source_archive_holds_the_package_without_its_tests(tree, tmp_path):
    for name in ("LICENSE", "NOTICE", "README.md", "MANIFEST.in", "PKG-INFO", "pyproject.toml"):
        (tree / name).touch()
    for name in (f"{PACKAGE}.egg-info/SOURCES.txt", "tests/test_all.py"):
        (tree / name).parent.mkdir()
        (tree / name).touch()

    def packed(path):
        path.name = f"{PACKAGE}-1/{path.name}"
        return None if "__pycache__" in path.name else path

    with tarfile.open(tmp_path / "package.tar.gz", "w:gz") as archive:
        archive.add(tree, "", filter=packed)
    assert source_problems(tmp_path / "package.tar.gz", tree) == [
        "setup.cfg is missing",
        "tests/test_all.py does not belong in it",
    ]


def test_a_wheel_that_is_too_large_is_refused(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.check_wheel.LARGEST_MB", 1e-6)
    (problem,) = problems(wheel_of(tmp_path, WHOLE), tree)
    assert problem.startswith("expected less than 1e-06 MB")


def test_the_configuration_packs_every_data_file():
    setup = (REPOSITORY / "setup.cfg").read_text()
    patterns = re.search(r"package_data\]\nmelanoma_tf =\n((?:    .+\n)+)", setup)
    root = REPOSITORY / PACKAGE
    packed = {path for line in patterns.group(1).split() for path in root.glob(line)}
    data = {REPOSITORY / name for name in package_files(REPOSITORY) if not name.endswith(".py")}
    assert {path for path in data if path.name.endswith(".npz")}
    assert data - packed == set()


def test_every_place_names_the_same_pythons():
    setup = (REPOSITORY / "setup.cfg").read_text()
    supported = re.findall(r"Python :: (3\.\d+)", setup)
    first, last = (int(version.split(".")[1]) for version in (supported[0], supported[-1]))
    assert supported == [f"3.{minor}" for minor in range(first, last + 1)]
    assert f"python_requires = >=3.{first}, <3.{last + 1}\n" in setup
    scripts = (REPOSITORY / "scripts" / "environment.sh").read_text()
    assert f"(3, {first}) <= sys.version_info[:2] <= (3, {last})" in scripts
    assert f"needs Python {', '.join(supported[:-1])} or {supported[-1]};" in scripts
    assert f"expected Python {supported[0]} to {supported[-1]}:" in scripts
    readme = (REPOSITORY / "README.md").read_text()
    assert f"Linux x86-64 with Python {supported[0]} to {supported[-1]}." in readme
    stacks = (REPOSITORY / "docs" / "stack.md").read_text()
    ours = next(line for line in stacks.splitlines() if line.startswith("| | Python"))
    assert re.findall(r"3\.\d+", ours) == supported


def test_continuous_integration_runs_both_commands_on_every_python():
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    (matrix,) = [job for job in workflow["jobs"].values() if "strategy" in job]
    setup = (REPOSITORY / "setup.cfg").read_text()
    supported = re.findall(r"Python :: (3\.\d+)", setup)
    assert matrix["strategy"]["matrix"]["python"] == supported
    steps = "\n".join(step.get("run", "") for step in matrix["steps"])
    assert "scripts/test.sh" in steps
    assert "scripts/demo.sh" in steps


def test_the_development_container_is_built_from_the_image_s_first_stage():
    folder = REPOSITORY / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    dockerfile = (folder / container["build"]["dockerfile"]).read_text()
    assert f" AS {container['build']['target']}\n" in dockerfile
    user = container["remoteUser"]
    assert f"\nUSER {user}\n" in dockerfile
