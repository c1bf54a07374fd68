"""What a client or a person sends is looked at here before anything else sees it. Pure.

Bytes are measured before they are parsed, every mistake of a message is found at once, and text
comes out in one form without characters and tokens that are commands to somebody.
"""

from parlour_contracts.validation.client_messages import (
    AudioMessage,
    ClientMessage,
    ControlMessage,
    TextMessage,
    Verdict,
    validate_message,
)
from parlour_contracts.validation.errors import (
    CLOSE_CODES,
    HTTP_STATUS,
    ErrorCode,
    ErrorFrame,
    RestError,
    ValidationError,
    error_frame,
)
from parlour_contracts.validation.injection import find_injection
from parlour_contracts.validation.model_tokens import strip_model_tokens
from parlour_contracts.validation.text import clean_characters, decode_text, is_blank, sanitise_text

__all__ = [
    "CLOSE_CODES",
    "HTTP_STATUS",
    "AudioMessage",
    "ClientMessage",
    "ControlMessage",
    "ErrorCode",
    "ErrorFrame",
    "RestError",
    "TextMessage",
    "ValidationError",
    "Verdict",
    "clean_characters",
    "decode_text",
    "error_frame",
    "find_injection",
    "is_blank",
    "sanitise_text",
    "strip_model_tokens",
    "validate_message",
]
