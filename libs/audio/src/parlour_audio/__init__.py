"""Frames, WAV, resampling and speech segmentation."""

from parlour_audio.decoder import RATES, StreamDecoder
from parlour_audio.errors import AudioError
from parlour_audio.frames import Pcm16, Samples
from parlour_audio.gain import apply_gain, limit
from parlour_audio.resample import StreamResampler, resample
from parlour_audio.segmenter import (
    Doubtful,
    Endpoint,
    Event,
    Segmenter,
    SegmenterSettings,
    SoftEndpoint,
    SpeechStarted,
)
from parlour_audio.wav import Wav, read_wav, wav_bytes, write_wav

__all__ = [
    "RATES",
    "AudioError",
    "Doubtful",
    "Endpoint",
    "Event",
    "Pcm16",
    "Samples",
    "Segmenter",
    "SegmenterSettings",
    "SoftEndpoint",
    "SpeechStarted",
    "StreamDecoder",
    "StreamResampler",
    "Wav",
    "apply_gain",
    "limit",
    "read_wav",
    "resample",
    "wav_bytes",
    "write_wav",
]
