"""What can be wrong with a model, and what the operator does about it."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class ModelError(ParlourError):
    """The root of everything that can be wrong with a model."""

    code = "MODEL_ERROR"


class ManifestError(ModelError):
    """A models.toml cannot be used; the message names every problem in it."""

    code = "MODEL_MANIFEST_INVALID"
    hint = "correct the file; its form is described in docs/models.md"


class ModelUnknownError(ModelError):
    """No models.toml lists this name for this kind of work."""

    code = "MODEL_UNKNOWN"


class ModelMissingError(ModelError):
    """The model is listed, but its files are not all here."""

    code = "MODEL_MISSING"


class ModelCorruptError(ModelError):
    """A file of the model is not the listed one."""

    code = "MODEL_CORRUPT"
