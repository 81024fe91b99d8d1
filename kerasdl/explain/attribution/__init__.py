"""Which pixels count for a class: maps over an image, from the network's gradients or from hiding parts of it.

Each method is a function of a model from float pixels to logits (`kerasdl.models.pixels.on_pixels`) that returns the
attribution itself, compiled once and then applied to as many images as wanted:

    attribute = saliency(network.on_pixels())
    maps = attribute(images, classes)      # float32 (n, h, w)

All of them explain a logit, not a probability: a softmax is flat where the network is confident. Maps are drawn by
`kerasdl.explain.overlays`.
"""

from kerasdl.explain.attribution.batches import BASELINES, baseline_images
from kerasdl.explain.attribution.gradcam import gradcam
from kerasdl.explain.attribution.gradients import Integrated, integrated_gradients, saliency
from kerasdl.explain.attribution.layers import Layers, find_layers
from kerasdl.explain.attribution.occlusion import occlusion

__all__ = [
    "BASELINES",
    "Integrated",
    "Layers",
    "baseline_images",
    "find_layers",
    "gradcam",
    "integrated_gradients",
    "occlusion",
    "saliency",
]
