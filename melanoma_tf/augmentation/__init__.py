"""Random changes of images and masks, as graph ops: geometric, photometric, drawn occlusions."""
