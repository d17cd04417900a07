"""The napari plugin: translation between medcolor and napari, and nothing else."""
