"""Shows why a network takes a picture for what it does: heat maps, kernels and feature maps.

`__main__` is the command. `plan` decides what can be shown of a network, `attribution` computes heat maps (Grad-CAM,
integrated gradients, saliency, occlusion), and `maps` turns pictures into maps and figures. `overlays` draws heat maps
on pictures, `features` draws kernels and feature maps.
"""
