"""Colorizers looked at and measured on test patients; the pages show patients and stay outside the repository."""
