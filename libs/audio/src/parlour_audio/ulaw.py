"""G.711 µ-law, the coding of telephony, as two look-up tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BIAS = 0x84
_CLIP = 32_635


def _decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 0x07
    mantissa = code & 0x0F
    magnitude = ((mantissa.astype(np.int32) << 3) + _BIAS << exponent.astype(np.int32)) - _BIAS
    table: NDArray[np.int16] = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return table


def _encode_table() -> NDArray[np.uint8]:
    """A code for each of the 65,536 samples, indexed by the sample as an unsigned number."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(sample < 0, 0x80, 0)
    table: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return table


_DECODED = _decode_table()
_ENCODED = _encode_table()


def decode(data: bytes) -> NDArray[np.int16]:
    """The samples of µ-law bytes, one each."""
    return _DECODED[np.frombuffer(data, dtype=np.uint8)]


def encode(samples: NDArray[np.int16]) -> bytes:
    """The µ-law bytes of samples, one each."""
    return _ENCODED[np.ascontiguousarray(samples, dtype=np.int16).view(np.uint16)].tobytes()
