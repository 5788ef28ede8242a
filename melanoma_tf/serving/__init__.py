"""SavedModels for TensorFlow Serving, and clients of them."""
