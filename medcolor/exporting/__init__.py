"""Trained colorizers in other forms: ONNX, in single precision or 8 bit, with the colour error that this costs."""
