"""What a viewer needs and no window knows: colouring slice by slice, placement, thumbnails, legends.

No GUI toolkit is imported here, and nothing heavy before it is used. :class:`~medcolor.viewing.session.ColoringSession`
colours while somebody looks; :func:`~medcolor.viewing.placement.place` says where a scan lies on a canvas.
"""
