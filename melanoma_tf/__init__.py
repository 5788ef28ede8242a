"""Data purification, data generation and balanced training for dermoscopic images.

The package follows Bisla et al. 2019, "Towards Automated Melanoma Detection with Deep Learning:
Data Purification and Augmentation". Importing it imports nothing heavy: TensorFlow is loaded by
the modules that compute (`images`, `models`, `pipeline`, `training`, ...), not by this one.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
