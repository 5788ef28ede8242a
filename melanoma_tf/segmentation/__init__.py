"""The lesion segmentation network: settings, network, training, prediction."""
