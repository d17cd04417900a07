"""The table of Khan, Gotoh and Nida 2017, with the columns defined: SSIM, PSNR, segmentation on gray and on colour.

``likeness`` is what SSIM and PSNR compare, ``pictures`` measures them, ``labels`` says where somebody drew an outline
and where nobody did, ``choosing`` asks
validation patients, ``segmentation`` groups and judges, ``run`` goes through the modalities, ``page`` writes.
"""
