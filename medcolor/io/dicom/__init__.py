"""DICOM: reading any image object, writing colour ones."""
