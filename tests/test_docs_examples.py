"""Python examples of the documentation run, or fit the package; commands of the tour run."""

import ast
import inspect
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import melanoma_tf
from melanoma_tf import backbones
from melanoma_tf.cli import main
from tests.conftest import one_convolution_for_small
from tests.test_docs import code_lines

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(page):
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def test_the_worked_example_leads_from_a_folder_to_a_prediction(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with one_convolution_for_small():
        for block in blocks("python_api.md"):
            exec(compile(block, "python_api.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "60 images, 36 to train on" in printed
    assert "PHANTOM_0000000.jpg" in printed
    assert "(8, 32, 32, 3)" in printed
    assert (tmp_path / "runs" / "first" / "report.html").is_file()


def test_a_data_set_is_added_in_ten_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index in range(20):
        path = tmp_path / "photos" / ("melanoma" if index % 2 else "nevus") / f"{index}-a.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(index).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(path), noise)
    names: dict = {}
    exec(compile(blocks("adding.md")[0], "adding.md", "exec"), names)
    records = names["mt"].RecordSet.read("tfrecords/clinic")
    assert records.count(source="clinic", class_name="melanoma") == 10


def test_a_backbone_is_added_in_ten_lines(tmp_path, monkeypatch, phantom_records):
    monkeypatch.setattr(backbones, "_registered", {})
    names: dict = {}
    exec(compile(blocks("adding.md")[1], "adding.md", "exec"), names)
    mt = names["mt"]
    from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings

    network = NetworkSettings("tiny", "none", image_size_px=32)
    settings = ClassifierSettings(epochs=1, batch_size=8, network=network)
    mt.train_classifier(phantom_records, tmp_path / "run", settings, log=lambda line: None)
    mt.export(tmp_path / "run", tmp_path / "model")
    assert (tmp_path / "model" / "1" / "saved_model.pb").is_file()
    with pytest.raises(mt.MelanomaError, match="tiny is one already"):
        mt.register_backbone("tiny", names["tiny"])


def test_an_overlay_is_added_in_ten_lines():
    import tensorflow as tf

    names: dict = {"tf": tf}
    exec(compile(blocks("adding.md")[2], "adding.md", "exec"), names)
    image, mask = tf.ones([16, 16, 3]), tf.ones([16, 16, 1])
    changed, kept = names["fingerprint"](image, mask, tf.constant([1, 2], tf.int64))
    assert changed.shape == image.shape
    assert float(tf.reduce_max(tf.abs(changed - image))) > 0.01
    assert float(tf.reduce_max(tf.abs(kept - mask))) == 0.0


def python_blocks():
    pages = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
    for page in pages:
        for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), start=1):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("block", list(python_blocks()))
def test_imports_and_calls_of_an_example_fit_the_package(block):
    tree = ast.parse(block)
    names = {"mt": melanoma_tf}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(compile(ast.Module([node], []), "example", "exec"), names)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        if "(" in function or function.split(".")[0] not in names:
            continue  # A method of what an example has made, which only a run of it has.
        called = eval(function, dict(names))
        if getattr(called, "__module__", "").startswith("melanoma_tf"):
            given = {each.arg: None for each in call.keywords}
            inspect.signature(called).bind(*call.args, **given)


RUN_ON_PHANTOMS = (
    "build-records", "verify-records", "inspect", "score segmenter", "score classifier", "compare",
    "plan",
)  # fmt: skip


def test_commands_of_the_tour_run_on_phantoms(
    tmp_path, monkeypatch, phantom_folder, phantom_records
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(phantom_folder, "data/isic2017")
    for name in ("isic2017-purified", "generated"):
        shutil.copytree(phantom_records, f"tfrecords/{name}")
    shutil.copytree("data/isic2017/ISIC-2017_Training_Part1_GroundTruth", "masks-of-mine")
    random = np.random.default_rng(1)
    classes = ("melanoma", "nevus", "seborrheic_keratosis")
    for run in ("first", "cpu"):
        rows = [
            (f"I{i}", *(f"{v:.3f}" for v in random.dirichlet([1] * 3)), classes[i % 3])
            for i in range(30)
        ]
        lines = [("image_id", *classes, "label"), *rows]
        Path("runs", run).mkdir(parents=True)
        Path("runs", run, "predictions.csv").write_text("\n".join(map(",".join, lines)))
    done = set()
    for line in code_lines(DOCS / "tour.md"):
        words = shlex.split(line.text)[1:]
        named = " ".join(words) + " "
        command = next((each for each in RUN_ON_PHANTOMS if named.startswith(f"{each} ")), None)
        if line.text.startswith("melanoma-tf ") and command:
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 0, f"{line.text}\n{result.output}"
            done.add(command)
            Path("scores.json").unlink(missing_ok=True)
    assert done == set(RUN_ON_PHANTOMS)
