"""llama.cpp as far as Parlour needs it: one model, one context, one sequence.

The low-level bindings are used because the high-level class can neither stop while a prompt
is computed (llama-cpp-python #599, #733) nor say what it reused, and keeps a float per token
of batch and vocabulary. Everything in here belongs to one thread, but for :meth:`abort`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp as lib

from llm_worker.errors import EngineFailedError, ModelLoadError

TOP_K = 40
MIN_P = 0.05
"""llama.cpp's own defaults; without them small models wander off at temperature 0.7."""

_ABORTED = 2


# llama.cpp writes hundreds of lines to stderr; what matters comes as a return value.
_DROP_LOG = lib.llama_log_callback(lambda _level, _text, _data: None)


def _abort_test() -> Any:
    """A native ``bool f(void *flag)``: true when the text at ``flag`` is not empty.

    llama.cpp asks before every node of its graph, hundreds of times a token. A callback in
    Python would take the interpreter's lock each time (measured: 15 times slower a token), so
    the C library's strlen answers.
    """
    return ctypes.cast(ctypes.CDLL(None).strlen, lib.ggml_abort_callback)


class AbortedError(Exception):
    """A computation stopped because :meth:`LlamaNative.abort` was called."""


class LlamaNative:
    """A model with its context and its KV cache.

    ``cached`` are the tokens whose keys and values are in the cache, in order: it is always
    true, also after an abort.

    Args:
        path: a GGUF file.
        window: tokens of the context; not more than the model was trained on is taken.
        batch: tokens computed in one call.
        threads: threads of the computation.

    Raises:
        ModelLoadError: the file is no model, or there is not enough memory.
    """

    def __init__(self, path: Path, window: int, batch: int, threads: int) -> None:
        lib.llama_log_set(_DROP_LOG, ctypes.c_void_p(0))
        lib.llama_backend_init()
        self.cached: list[int] = []
        self._batch = batch
        self._flag = ctypes.create_string_buffer(2)
        self._is_aborted = _abort_test()
        self._context: Any = None
        self._model: Any = None
        params = lib.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise ModelLoadError(
                f"llama.cpp cannot load {path.name}",
                hint="the file may be of a newer format or no GGUF: parlour models verify",
            )
        try:
            self._vocab: Any = lib.llama_model_get_vocab(self._model)
            trained = lib.llama_model_n_ctx_train(self._model)
            self._context = self._new_context(min(window, trained), batch, threads)
        except ModelLoadError:
            self.close()
            raise
        self._memory: Any = lib.llama_get_memory(self._context)
        self.window = min(window, trained, int(lib.llama_n_ctx(self._context)))

    def _new_context(self, window: int, batch: int, threads: int) -> Any:
        params = lib.llama_context_default_params()
        params.n_ctx = window
        params.n_batch = params.n_ubatch = batch
        params.n_threads = params.n_threads_batch = threads
        params.offload_kqv = params.op_offload = False
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            raise ModelLoadError(
                f"no memory for a context of {window} tokens", hint="lower context_window"
            )
        flag = ctypes.cast(self._flag, ctypes.c_void_p)
        lib.llama_set_abort_callback(context, self._is_aborted, flag)
        return context

    # The vocabulary

    @property
    def template(self) -> str | None:
        """The chat template in the model's file."""
        text = lib.llama_model_chat_template(self._model, None)
        return text.decode("utf-8", "replace") if text else None

    def special_tokens(self) -> tuple[str, ...]:
        """The texts of all control tokens."""
        count = lib.llama_vocab_n_tokens(self._vocab)
        control = (i for i in range(count) if lib.llama_vocab_is_control(self._vocab, i))
        return tuple(filter(None, map(self.text, control)))

    def text(self, token: int) -> str:
        """The text of a token as the vocabulary lists it; empty for none."""
        if token < 0:
            return ""
        return bytes(lib.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")

    @property
    def begin(self) -> str:
        """The text that begins a sequence, or empty."""
        return self.text(lib.llama_vocab_bos(self._vocab))

    @property
    def end(self) -> str:
        """The text that ends a sequence, or empty."""
        return self.text(lib.llama_vocab_eos(self._vocab))

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Text → tokens; special tokens in the text are recognised."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        buffer = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, data, len(data), buffer, room, add_special, True)
        if count < 0:
            raise EngineFailedError(f"llama.cpp cannot tokenise {len(data)} bytes")
        return list(buffer[:count])

    def bytes_of(self, token: int) -> bytes:
        """What a token adds to the text; nothing for a control token."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = lib.llama_token_to_piece(self._vocab, token, buffer, room, 0, False)
            if size >= 0:
                return buffer.raw[:size]
            room = -size

    def is_end(self, token: int) -> bool:
        """Whether an answer is over with this token: end of text, of turn, any control token."""
        return bool(
            lib.llama_vocab_is_eog(self._vocab, token)
            or lib.llama_vocab_is_control(self._vocab, token)
        )

    # The computation

    def abort(self) -> None:
        """Stop what is computed now, from any thread; :class:`AbortedError` rises there."""
        self._flag[0] = b"x"

    def rearm(self) -> None:
        """Forget an earlier :meth:`abort`."""
        self._flag[0] = b"\0"

    def rewind(self, length: int) -> int:
        """Keep at most the first ``length`` tokens of the cache; returns how many are left.

        A model whose state cannot be cut (recurrent ones) loses all of it.
        """
        if length >= len(self.cached) and self._positions() == len(self.cached):
            return len(self.cached)
        if length > 0 and lib.llama_memory_seq_rm(self._memory, 0, length, -1):
            del self.cached[length:]
        else:
            lib.llama_memory_clear(self._memory, False)
            self.cached.clear()
        return len(self.cached)

    def _positions(self) -> int:
        return int(lib.llama_memory_seq_pos_max(self._memory, 0)) + 1

    def compute(self, tokens: Sequence[int]) -> None:
        """Append tokens to the cache, batch by batch.

        Raises:
            AbortedError: stopped; batches that were complete are kept.
            EngineFailedError: llama.cpp failed; the cache is empty.
        """
        for start in range(0, len(tokens), self._batch):
            part = tokens[start : start + self._batch]
            if self._flag[0] != b"\0":
                raise AbortedError
            array = (lib.llama_token * len(part))(*part)
            status = lib.llama_decode(self._context, lib.llama_batch_get_one(array, len(part)))
            if status == 0:
                self.cached.extend(part)
                continue
            # Part of the batch may be in the cache: only what is known to be there stays.
            self.rewind(len(self.cached) if status == _ABORTED else 0)
            if status == _ABORTED:
                raise AbortedError
            raise EngineFailedError(f"llama.cpp failed to compute, status {status}")

    @contextmanager
    def sampler(self, temperature: float, top_p: float, seed: int | None) -> Iterator[Any]:
        """How the next token is chosen; with temperature 0 always the likeliest."""
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        try:
            if temperature <= 0:
                lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
            else:
                for stage in (
                    lib.llama_sampler_init_top_k(TOP_K),
                    lib.llama_sampler_init_top_p(top_p, 1),
                    lib.llama_sampler_init_min_p(MIN_P, 1),
                    lib.llama_sampler_init_temp(temperature),
                    lib.llama_sampler_init_dist(lib.LLAMA_DEFAULT_SEED if seed is None else seed),
                ):
                    lib.llama_sampler_chain_add(chain, stage)
            yield chain
        finally:
            lib.llama_sampler_free(chain)

    def sample(self, sampler: Any) -> int:
        """The next token, after the last one computed."""
        return int(lib.llama_sampler_sample(sampler, self._context, -1))

    def close(self) -> None:
        """Free the memory; safe to call twice."""
        if self._context:
            lib.llama_free(self._context)
        if self._model:
            lib.llama_model_free(self._model)
        self._context = self._model = None
        self.cached.clear()
