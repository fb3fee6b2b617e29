"""Training of the models that earmark ships.  Needs the extra ``train`` (PyTorch)."""
