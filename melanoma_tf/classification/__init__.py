"""Lesion classifiers: settings, networks, sampling, training, evaluation, explanation."""
