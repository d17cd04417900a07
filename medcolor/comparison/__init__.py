"""Gray against colour: a study of segmentation whose verdict may be believed, whichever way it falls."""
