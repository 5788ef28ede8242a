"""How a network is compiled."""

import numpy as np
import pytest

from melanoma_tf.core.keras import keras
from melanoma_tf.training.compile_model import compile_model


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def _precision(request):
    keras.mixed_precision.set_global_policy(request.param)
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.usefixtures("_precision")
def test_a_step_is_traced_once():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(inputs))
    assert compile_model(model, optimizer=keras.optimizers.Adam(), loss="mse") is model
    model.fit(np.ones((6, 3)), np.zeros((6, 2)), batch_size=2, verbose=0)
    assert model.train_function.experimental_get_tracing_count() == 1
    assert int(model.optimizer.iterations.numpy()) == 3
