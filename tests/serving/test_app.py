"""The local web page: what it computes, and the page itself in a browser where there is one."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.pretrained import classifier_run
from melanoma_tf.serving import app
from melanoma_tf.serving.analysis import Analyser, Analysis
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.photograph_classifiers import ExportedClassifier, ShippedClassifier

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PHANTOM = draw_phantom("melanoma", 2, PhantomSettings((90, 120), hairs=1))


class FixedAnalyser:
    """Takes the middle for the lesion."""

    def analyse(self, path):
        picture = cv2.imread(str(path))
        if picture is None:
            raise MelanomaError("expected an image; found other bytes")
        mask = np.zeros(picture.shape[:2], np.uint8)
        mask[30:60, 40:80] = 255
        return Analysis(
            path.name, picture[..., ::-1], mask, 255 - picture[..., ::-1], 0.25,
            {"melanoma": 0.7, "nevus": 0.3}, {"melanoma": ("82%", "89%"), "nevus": ()},
        )  # fmt: skip


@pytest.fixture
def files(tmp_path):
    photo, text = tmp_path / "photo.png", tmp_path / "notes.txt"
    cv2.imwrite(str(photo), PHANTOM.image[..., ::-1])
    text.write_text("no image")
    return [str(photo), str(text)]


def test_each_file_has_a_row_and_a_bad_one_its_reason(files, tmp_path):
    page = app.Page(FixedAnalyser(), tmp_path)
    found, rows, errors = page.analyse(files)
    assert [each.name for each in found] == ["photo.png"]
    assert rows[0] == ["photo.png", "11.1%", "25.0%", "melanoma", "0.700", ""]
    assert rows[1][0] == "notes.txt"
    assert errors == "notes.txt: expected an image; found other bytes"
    assert app.probability_rows(found[0]) == [
        ["melanoma", "0.700", "yes", "yes", "no"],
        ["nevus", "0.300", "no", "no", "no"],
    ]
    assert page.analyse([]) == ([], [], "")


def test_the_outline_is_drawn_on_the_border_of_the_mask(files):
    found = FixedAnalyser().analyse(Path(files[0]))
    changed = (found.outlined() != found.picture).any(-1)
    inner = np.zeros_like(changed)
    inner[31:59, 41:79] = True
    assert changed[30, 40:80].all()
    assert not changed[inner | (found.mask == 0)].any()


def test_the_results_to_download_are_whole(files, tmp_path):
    page = app.Page(FixedAnalyser(), tmp_path)
    found, _, _ = page.analyse([files[0], files[0]])
    with zipfile.ZipFile(page.save(found)) as archive:
        assert len(set(archive.namelist())) == 5
        rows = archive.read("results.csv").decode().splitlines()
        mask = cv2.imdecode(np.frombuffer(archive.read("002_photo_segmentation.png"), np.uint8), 0)
    assert rows[0] == "photograph,lesion_fraction,occluded_fraction,melanoma,nevus"
    assert len(rows) == 3
    np.testing.assert_array_equal(mask, found[1].mask)
    assert page.save([]) is None


def test_without_a_classifier_a_photograph_is_outlined_and_purified(files):
    found = Analyser().analyse(Path(files[0]))
    overlap = np.logical_and(found.mask, PHANTOM.lesion_mask).sum()
    assert overlap / np.logical_or(found.mask, PHANTOM.lesion_mask).sum() > 0.5
    assert found.occluded > 0
    assert (found.purified != found.picture).any()
    assert found.probabilities == {}
    with pytest.raises(MelanomaError, match="found other bytes"):
        Analyser().analyse(Path(files[1]))


def test_without_a_model_the_probabilities_are_those_of_predict(files, tmp_path):
    table = tmp_path / "predictions.csv"
    done = CliRunner().invoke(main, ["predict", files[0], "--output", str(table)])
    assert done.exit_code == 0, done.output
    (row,) = csv.DictReader(table.read_text().splitlines())
    classifier = ShippedClassifier()
    found = classifier.classify(Path(files[0]), PHANTOM.image)
    calibration = json.loads((classifier_run("shipped") / "calibration.json").read_text())
    assert list(found.probabilities) == calibration["class_names"]
    for name, value in found.probabilities.items():
        assert value == pytest.approx(float(row[name]), abs=1e-5)
        points = calibration["thresholds"][name]
        assert found.reached[name] == tuple(
            f"{float(each):.0%}" for each in ("0.82", "0.89", "0.95") if value >= points[each]
        )
    assert found.saliency.shape == PHANTOM.image.shape
    assert (found.saliency != PHANTOM.image).any()
    with pytest.raises(MelanomaError, match="expected a JPEG"):
        classifier.classify(Path(files[1]), PHANTOM.image)


def test_an_exported_model_answers_on_the_page_as_on_a_server(exported, files):
    served = load_classifier(exported)
    (expected,) = served.predict([Path(files[0])])
    found = ExportedClassifier(served.exported).classify(Path(files[0]), PHANTOM.image)
    np.testing.assert_allclose(list(found.probabilities.values()), expected.probabilities, 1e-5)
    assert found.saliency.shape == PHANTOM.image.shape
    with pytest.raises(MelanomaError, match="found other bytes"):
        ExportedClassifier(served.exported).classify(Path(files[1]), PHANTOM.image)


def test_without_gradio_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MelanomaError, match=r"Install melanoma-tf\[app\]"), app.started():
        pass


def chromium():
    """Headless Chromium by its driver, or a skip with the reason."""
    pytest.importorskip("gradio", reason="the extra app is not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("no chromium or no chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    switches = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1400,1250")
    for argument in switches:
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def wait_for(condition, seconds=240):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "the page does not show what was waited for"
        time.sleep(0.2)
    return value


@pytest.fixture
def page():
    """A browser at the page of the command."""
    driver = chromium()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "melanoma_tf", "app", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"open http://127.0.0.1:{port}"), line
            driver.get(f"http://127.0.0.1:{port}")
            yield driver
        finally:
            driver.quit()
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_in_a_browser_a_photograph_is_shown_and_a_text_file_is_refused(page, files):
    from selenium.webdriver.common.by import By

    def found(selector):
        return page.find_elements(By.CSS_SELECTOR, selector)

    wait_for(lambda: found("input[type=file]"))[0].send_keys("\n".join(files))
    images = wait_for(lambda: len(found("#result img")) >= 3 and found("#result img"))
    wait_for(lambda: all(each.get_property("naturalWidth") == 120 for each in images))
    shown = wait_for(lambda: found("#errors textarea"))[0]
    wait_for(lambda: "notes.txt: expected a JPEG" in shown.get_property("value"))
    table = wait_for(lambda: found("#table"))[0]
    wait_for(lambda: "photo.png" in table.text and "notes.txt" in table.text)
    if os.environ.get("MELANOMA_SCREENSHOT"):
        page.save_screenshot(os.environ["MELANOMA_SCREENSHOT"])
    hosts = page.execute_script(
        "return performance.getEntriesByType('resource').map(e => new URL(e.name).hostname)"
    )
    refused = [each["message"] for each in page.get_log("browser") if "Policy" in each["message"]]
    for host in set(hosts) - {"127.0.0.1", "localhost", ""}:
        assert any(host in message for message in refused), host
