"""An iris classifier: what is shared by its API, its first training and its retraining worker."""
