"""Learning tissue colour: targets, degraded inputs, losses, one loop, and the figures that decide.

Nothing here is imported by ``import medcolor``; torch and MONAI load where they are used.
"""
