"""Pure functions on image tensors, as TensorFlow graph ops."""
