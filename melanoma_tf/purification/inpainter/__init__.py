"""The network that fills occlusions: network, losses, training."""
