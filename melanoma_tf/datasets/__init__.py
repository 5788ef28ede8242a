"""Raw folders and label files of dermoscopic data sets -> `Lesion` rows. No TensorFlow here."""
