"""The classical purification, as graph ops and with OpenCV."""
