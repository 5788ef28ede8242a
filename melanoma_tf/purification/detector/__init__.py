"""The network that detects occlusions: network, losses, training."""
