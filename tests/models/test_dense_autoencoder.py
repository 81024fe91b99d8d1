"""The dense autoencoder: two networks by role."""

import numpy as np

from kerasdl.models.autoencoder import build


def test_an_image_goes_through_the_code_and_back():
    networks = build((8, 8, 3), units=(32, 16), code=5)
    assert list(networks) == ["encoder", "decoder"]
    code = networks["encoder"](np.zeros((2, 8, 8, 3), np.float32))
    assert code.shape == (2, 5)
    assert networks["decoder"](code).shape == (2, 8, 8, 3)


def test_the_decoder_has_the_encoder_s_widths_in_reverse():
    networks = build((8, 8, 1), units=(32, 16), code=5)
    assert networks["encoder"].count_params() == 64 * 32 + 32 + 32 * 16 + 16 + 16 * 5 + 5
    assert networks["decoder"].count_params() == 5 * 16 + 16 + 16 * 32 + 32 + 32 * 64 + 64
