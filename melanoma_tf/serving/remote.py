"""Classify image files with a model server, over REST or gRPC.

The server is TensorFlow Serving or anything that speaks its protocols. Over REST nothing here needs
TensorFlow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.serving.address import Answer, Ask, ServedModel, ServerError
from melanoma_tf.serving.encoded_files import encoded_for_model
from melanoma_tf.serving.predictions import Prediction
from melanoma_tf.serving.settings import ServerSettings
from melanoma_tf.serving.signatures import CLASSES, MESSAGE, PROBABILITIES, STATUS


class RemoteClassifier:
    """A classifier on a model server.

    Args:
        url: see `ServedModel.parse`.
        settings: see `ServerSettings`.

    Raises:
        MelanomaError: no such address, or a package is missing for gRPC.
    """

    def __init__(self, url: str, settings: ServerSettings | None = None):
        self.model, self._settings = ServedModel.parse(url), settings or ServerSettings()
        self._ask = self._connected()

    def predict(self, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[Prediction]:
        """Classify files in batches, several at a time, in order.

        A file that is no image yields a `Prediction` with an error; the others go on.

        Raises:
            ServerError: the server cannot be reached, refuses a request or answers in other terms.
        """
        batches = [paths[i : i + batch_size] for i in range(0, len(paths), batch_size)]
        pending: deque[Future[list[Prediction]]] = deque()
        executor = ThreadPoolExecutor(self._settings.concurrency)
        try:
            for batch in batches:
                pending.append(executor.submit(self._predict, batch))
                if len(pending) >= 2 * self._settings.concurrency:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            executor.shutdown(cancel_futures=True)

    def _connected(self) -> Ask:
        if self.model.scheme == "grpc":
            from melanoma_tf.serving.grpc_client import grpc_ask

            return grpc_ask(self.model, self._settings)
        from melanoma_tf.serving.rest_client import rest_ask

        return rest_ask(self.model, self._settings)

    def _predict(self, paths: Sequence[Path]) -> list[Prediction]:
        contents = [encoded_for_model(path) for path in paths]
        good = [content for content in contents if isinstance(content, bytes)]
        answers = self._ask(good) if good else []
        if len(answers) != len(good):
            raise ServerError(
                f"{self.model}: expected {len(good)} answers; found {len(answers)} of them"
            )
        answered = iter(answers)
        return [
            self._prediction(path, next(answered))
            if isinstance(content, bytes)
            else Prediction(path, (), None, str(content))
            for path, content in zip(paths, contents)
        ]

    def _prediction(self, path: Path, answer: Answer) -> Prediction:
        absent = {CLASSES, PROBABILITIES, STATUS, MESSAGE} - set(answer)
        if absent:
            raise ServerError(
                f"{self.model}: expected the output {', '.join(sorted(absent))} of an exported "
                f"classifier; found {', '.join(sorted(answer))}"
            )
        if answer[STATUS]:
            return Prediction(path, (), None, _text(answer[MESSAGE]))
        names = tuple(_text(name) for name in answer[CLASSES])
        probabilities = np.asarray(answer[PROBABILITIES], np.float32)
        if probabilities.shape != (len(names),):
            raise ServerError(
                f"{self.model}: expected a probability of each of {len(names)} classes; found "
                f"shape {probabilities.shape}"
            )
        return Prediction(path, names, probabilities)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
