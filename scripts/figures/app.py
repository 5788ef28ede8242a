"""The screenshot of the web page in docs/serving.md, by headless Chromium.

python scripts/figures/app.py --output docs/figures/app.png

Needs the extra `app`, selenium, chromium and chromedriver.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import cv2
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.serving.app import started

PHANTOMS = (("melanoma", 11), ("nevus", 12))


def browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1400,1250"):
        options.add_argument(f"--{switch}")
    return webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )


def photograph(address: str, files: list[str], path: str) -> None:
    driver = browser()
    driver.get(address)
    driver.implicitly_wait(60)
    driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys("\n".join(files))
    # Outline, both sides of the slider, saliency.
    while len(driver.find_elements(By.CSS_SELECTOR, "#result img")) < 4:
        time.sleep(0.5)
    time.sleep(5)  # The slider moves to the middle.
    driver.save_screenshot(path)
    driver.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="default: the classifier that ships")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, seed in PHANTOMS:
            settings = PhantomSettings((360, 480), hairs=1, ruler=1)
            files.append(f"{folder}/phantom_{name}.jpg")
            cv2.imwrite(files[-1], draw_phantom(name, seed, settings).image[..., ::-1])
        with started(options.model) as address:
            photograph(address, files, f"{folder}/page.png")
        page = Image.open(f"{folder}/page.png").convert("RGB").crop((60, 0, 1340, 1030))
        page = page.resize((1024, 824), Image.Resampling.LANCZOS)
        page.quantize(160, dither=Image.Dither.NONE).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
