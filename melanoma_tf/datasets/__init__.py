"""Readers of raw dermoscopic data sets, which list them as `Lesion` rows without TensorFlow."""
