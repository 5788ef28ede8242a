"""The local web page: drop photographs, see outlines, purified images and probabilities.

Nothing leaves the machine: the page is bound to this computer, browsers are told to load nothing
from elsewhere, uploads lie in a temporary folder that is removed at the end, and there are no
analytics.
"""

from __future__ import annotations

import os
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from melanoma_tf.core.csv_text import csv_text
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.serving.analysis import Analyser, Analysis
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.photograph_classifiers import (
    SENSITIVITIES,
    ExportedClassifier,
    PhotographClassifier,
    ShippedClassifier,
)
from melanoma_tf.serving.settings import AppSettings
from melanoma_tf.serving.signatures import DISCLAIMER

# Browsers load nothing from elsewhere, whatever the page's own library would like to.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' blob: data:; img-src 'self' data: blob:"
)
_EXAMPLES = (("melanoma", 11), ("nevus", 12), ("seborrheic_keratosis", 13))
_COLUMNS = ["photograph", "lesion", "hairs, rulers, ink", "most probable", "probability", "remark"]


class Page:
    """What the page computes, free of the library that draws it.

    Args:
        analyser: analyses a photograph.
        folder: gets the results to download.
    """

    def __init__(self, analyser: Analyser, folder: Path):
        self._analyser, self._folder = analyser, folder
        # One photograph at a time: two would take the memory of two.
        self._lock = threading.Lock()

    def analyse(self, paths: list[str]) -> tuple[list[Analysis], list[list[str]], str]:
        """Analyse files.

        Returns:
            What was found in those that are images; a row of the table for each file; and what is
            wrong with the others, a line each.
        """
        found, rows, errors = [], [], []
        for path in map(Path, paths):
            try:
                with self._lock:
                    analysis = self._analyser.analyse(path)
            except MelanomaError as error:
                errors.append(f"{path.name}: {error}")
                rows.append([path.name, "", "", "", "", str(error)])
                continue
            found.append(analysis)
            rows.append(table_row(analysis))
        return found, rows, "\n".join(errors)

    def save(self, found: list[Analysis]) -> str | None:
        """Write a ZIP of masks, purified images and a table; None where nothing was found."""
        if not found:
            return None
        handle, name = tempfile.mkstemp(".zip", "melanoma-tf-", self._folder)
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("results.csv", results_csv(found))
            for number, each in enumerate(found, 1):
                # Numbered: two files may have one name.
                stem = f"{number:03d}_{Path(each.name).stem}"
                pictures = {"segmentation": each.mask, "purified": each.purified[..., ::-1]}
                if each.saliency is not None:
                    pictures["saliency"] = each.saliency[..., ::-1]
                for kind, pixels in pictures.items():
                    encoded = cv2.imencode(".png", np.ascontiguousarray(pixels))[1]
                    archive.writestr(f"{stem}_{kind}.png", encoded.tobytes())
        return name


def table_row(analysis: Analysis) -> list[str]:
    """A row of the table of several photographs."""
    probabilities = analysis.probabilities
    best = max(probabilities, key=probabilities.__getitem__) if probabilities else ""
    return [
        analysis.name,
        f"{analysis.lesion_fraction:.1%}",
        f"{analysis.occluded:.1%}",
        best,
        f"{probabilities[best]:.3f}" if best else "",
        "" if analysis.mask.any() else "no lesion found",
    ]


def probability_rows(analysis: Analysis) -> list[list[str]]:
    """The probabilities of a photograph, and which thresholds each reaches."""
    ordered = sorted(analysis.probabilities.items(), key=lambda item: -item[1])
    return [
        [name, f"{value:.3f}"]
        + ["yes" if f"{float(s):.0%}" in analysis.reached[name] else "no" for s in SENSITIVITIES]
        for name, value in ordered
    ]


def results_csv(found: list[Analysis]) -> str:
    """The results as CSV: a row for each photograph, a column for each class."""
    classes = list(found[0].probabilities)
    rows: list[list[Any]] = [["photograph", "lesion_fraction", "occluded_fraction", *classes]]
    for each in found:
        values = [each.probabilities[label] for label in classes]
        rows.append([each.name, each.lesion_fraction, each.occluded, *values])
    return csv_text(rows)


def write_examples(folder: Path) -> list[str]:
    """Write phantoms to try the page with."""
    settings = PhantomSettings((360, 480), hairs=1, ruler=0.3, ink=0.3, bubbles=0.3)
    paths = []
    for class_name, seed in _EXAMPLES:
        path = folder / f"phantom_{class_name}.jpg"
        cv2.imwrite(str(path), draw_phantom(class_name, seed, settings).image[..., ::-1])
        paths.append(str(path))
    return paths


@contextmanager
def started(model: Path | None = None, settings: AppSettings | None = None) -> Iterator[str]:
    """Start the page, yield its address, and stop it at the end.

    Args:
        model: an exported classifier; None takes the classifier that ships.
        settings: see `AppSettings`.

    Raises:
        MelanomaError: Gradio is missing, the model cannot be used, or the port is taken.
    """
    settings = settings or AppSettings()
    with tempfile.TemporaryDirectory(prefix="melanoma-tf-app-") as temporary:
        # Read by Gradio when it is imported and when it stores an upload.
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=temporary)
        try:
            import gradio
            from starlette.middleware import Middleware
        except ImportError as error:
            raise MelanomaError(
                f"expected the package gradio; found {error}. Install melanoma-tf[app]"
            ) from None
        classifier: PhotographClassifier = (
            ShippedClassifier()
            if model is None
            else ExportedClassifier(load_classifier(model).exported)
        )
        page = Page(Analyser(classifier), Path(temporary))
        blocks = _blocks(gradio, page, write_examples(Path(temporary)), classifier.name)
        try:
            _, address, _ = blocks.launch(
                server_name="127.0.0.1",
                server_port=settings.port,
                share=False,
                quiet=True,
                inbrowser=False,
                prevent_thread_lock=True,
                max_file_size="64mb",
                show_api=False,
                ssr_mode=False,
                app_kwargs={"middleware": [Middleware(_SameOrigin)]},
            )
        except OSError as error:
            raise MelanomaError(f"expected a free port; found {error}") from None
        try:
            yield str(address)
        finally:
            blocks.close()


class _SameOrigin:
    """Adds the policy to each answer (ASGI)."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", _POLICY.encode())
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, with_policy)


def _blocks(gradio: Any, page: Page, examples: list[str], classifier: str) -> Any:
    """The page itself."""
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    title = "melanoma-tf"
    with gradio.Blocks(
        title=title,
        theme=theme,
        css="footer {display: none !important}",
        analytics_enabled=False,
        delete_cache=(600, 3600),
    ) as blocks:
        gradio.Markdown(
            f"# {title}\n**{DISCLAIMER}** Photographs stay on this computer. "
            f"Probabilities: {classifier}."
        )
        with gradio.Row():
            with gradio.Column(scale=1):
                files = gradio.File(
                    label="Dermoscopic photographs", file_count="multiple", type="filepath"
                )
                gradio.Examples([[[each]] for each in examples], files, label="Phantoms to try")
                errors = gradio.Textbox(label="Not analysed", visible=False, elem_id="errors")
                download = gradio.DownloadButton("Download results", visible=False)
            with gradio.Column(scale=2, visible=False, elem_id="result") as result:
                with gradio.Row():
                    outline = gradio.Image(label="Outline", interactive=False, height=360)
                    slider = gradio.ImageSlider(
                        label="Before | purified", interactive=False, height=360
                    )
                with gradio.Row():
                    saliency = gradio.Image(
                        label="Where the classifier looks", interactive=False, height=360
                    )
                    probabilities = gradio.Dataframe(
                        headers=["class", "probability"]
                        + [f"{float(each):.0%}" for each in SENSITIVITIES],
                        label="Probabilities; at or above the threshold for a sensitivity of",
                        wrap=True,
                        elem_id="probabilities",
                    )
        table = gradio.Dataframe(
            headers=_COLUMNS, label="All photographs", visible=False, elem_id="table"
        )
        outputs = [errors, table, download, result, outline, slider, saliency, probabilities]
        files.change(_update(gradio, page), files, outputs, api_name=False)
    return blocks


def _update(gradio: Any, page: Page) -> Any:
    def update(paths: list[str] | None) -> list[Any]:
        found, rows, errors = page.analyse(paths or [])
        archive = page.save(found)
        first = found[0] if found else None
        return [
            gradio.update(value=errors, visible=bool(errors)),
            gradio.update(value=rows, visible=len(rows) > 1),
            gradio.update(value=archive, visible=archive is not None),
            gradio.update(visible=first is not None),
            None if first is None else first.outlined(),
            None if first is None else (first.picture, first.purified),
            None if first is None else first.saliency,
            [] if first is None else probability_rows(first),
        ]

    return update
