"""Segmenters that need no training: arrays in, arrays out, the same for gray and for colour."""
