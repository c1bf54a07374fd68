"""The arithmetic of the benchmark: values in, values out, nothing but the standard library.

A turn is one recording asked of one side. Turns are compared in pairs: the same clip in the same
round, asked of both; a pair counts only when both sides answered.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Side = Literal["parlour", "chain"]

TOTAL: Final = "speech_end_to_first_audio_ms"
STAGES: Final = (
    "speech_end_to_final_ms",
    "final_to_first_token_ms",
    "first_token_to_first_sentence_ms",
    "first_sentence_to_first_audio_ms",
)
LABELS: Final = {
    "speech_end_to_final_ms": "end of speech → transcript",
    "final_to_first_token_ms": "transcript → first token",
    "first_token_to_first_sentence_ms": "first token → first sentence",
    "first_sentence_to_first_audio_ms": "first sentence → first audio",
    TOTAL: "end of speech → first audio",
}
AUDIBLE: Final = 0.01
"""Share of full scale above which a sample can be heard."""


@dataclass(frozen=True)
class Turn:
    """One question asked of one side.

    ``timings`` has every key of `STAGES` and `TOTAL`, in milliseconds, unless ``error`` is set.
    """

    side: Side
    clip: str
    round: int
    transcript: str = ""
    reply: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Row:
    """One stage: medians in ms, their ratio, and the 95 % interval of the ratio."""

    stage: str
    parlour_ms: float
    chain_ms: float
    ratio: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Summary:
    """The outcome: the last row is the whole way from end of speech to first audio."""

    pairs: int
    failed: Mapping[Side, int]
    rows: tuple[Row, ...]
    p95_ms: Mapping[Side, float]

    @property
    def ratio(self) -> float:
        """Parlour's median over the chain's, of the whole way."""
        value = self.rows[-1].ratio
        if value is None:
            raise ValueError("no ratio: the chain's median is not positive")
        return value


def from_stamps(
    speech_end: float, final: float, first_token: float, first_sentence: float, first_audio: float
) -> dict[str, float]:
    """Timings in ms from moments in seconds on one clock."""
    moments = (speech_end, final, first_token, first_sentence, first_audio)
    timings = {
        stage: round((after - before) * 1000, 1)
        for stage, before, after in zip(STAGES, moments, moments[1:], strict=False)
    }
    timings[TOTAL] = round((first_audio - speech_end) * 1000, 1)
    return timings


def first_audible(
    chunks: Iterable[tuple[float, Sequence[int]]], rate: int, threshold: float = AUDIBLE
) -> float | None:
    """The moment at which a player makes the first sound that can be heard.

    A player starts with the first chunk, plays on as long as it has sound and waits where it has
    none, so a sample is heard when its chunk has come and all samples ahead of it are played.

    Args:
        chunks: ``(moment of arrival in s, PCM16 mono samples)``, in order.
        rate: Hz.
        threshold: share of full scale.

    Returns:
        Seconds on the clock of the arrivals, or None where nothing is audible.
    """
    limit = threshold * 32768
    runs_out = float("-inf")
    for arrived, samples in chunks:
        starts = max(arrived, runs_out)
        for index, sample in enumerate(samples):
            if abs(int(sample)) > limit:
                return starts + index / rate
        runs_out = starts + len(samples) / rate
    return None


def pairs_of(turns: Iterable[Turn]) -> list[tuple[Turn, Turn]]:
    """``(Parlour's, the chain's)`` turn of each clip and round that both answered."""
    answered: dict[tuple[str, int], dict[Side, Turn]] = {}
    for turn in turns:
        if turn.error is None:
            answered.setdefault((turn.clip, turn.round), {})[turn.side] = turn
    return [(t["parlour"], t["chain"]) for t in answered.values() if len(t) == 2]


def ratio_interval(
    pairs: Sequence[tuple[float, float]], *, draws: int = 2000, seed: int = 7
) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the ratio of medians; None where it has no meaning.

    Pairs are drawn with replacement, so what makes a clip slow on both sides cancels out.
    """
    if len(pairs) < 3:
        return None
    dice = random.Random(seed)
    ratios = []
    for _ in range(draws):
        drawn = dice.choices(pairs, k=len(pairs))
        below = median(b for _, b in drawn)
        if below > 0:
            ratios.append(median(a for a, _ in drawn) / below)
    if len(ratios) < draws // 2:
        return None
    cuts = quantiles(ratios, n=40, method="inclusive")
    return cuts[0], cuts[-1]


def summarise(turns: Sequence[Turn]) -> Summary:
    """Medians and ratios of all pairs.

    Raises:
        ValueError: when no clip was answered by both sides.
    """
    pairs = pairs_of(turns)
    if not pairs:
        raise ValueError("no clip was answered by both sides")
    rows = []
    for stage in (*STAGES, TOTAL):
        values = [(ours.timings[stage], theirs.timings[stage]) for ours, theirs in pairs]
        ours_ms, theirs_ms = median(a for a, _ in values), median(b for _, b in values)
        interval = ratio_interval(values)
        rows.append(
            Row(
                stage,
                round(ours_ms, 1),
                round(theirs_ms, 1),
                round(ours_ms / theirs_ms, 3) if theirs_ms > 0 else None,
                round(interval[0], 3) if interval else None,
                round(interval[1], 3) if interval else None,
            )
        )
    failed: dict[Side, int] = {
        "parlour": sum(t.side == "parlour" and t.error is not None for t in turns),
        "chain": sum(t.side == "chain" and t.error is not None for t in turns),
    }
    p95: dict[Side, float] = {
        "parlour": _p95([ours.timings[TOTAL] for ours, _ in pairs]),
        "chain": _p95([theirs.timings[TOTAL] for _, theirs in pairs]),
    }
    return Summary(len(pairs), failed, tuple(rows), p95)


def _p95(values: list[float]) -> float:
    if len(values) < 2:
        return values[0]
    return round(quantiles(values, n=20, method="inclusive")[-1], 1)


def medians_of(side: Side, turns: Iterable[Turn]) -> str:
    """The medians of one side alone, for people.

    Raises:
        ValueError: when it answered nothing.
    """
    answered = [t.timings for t in turns if t.side == side and t.error is None]
    if not answered:
        raise ValueError(f"{side} answered nothing")
    lines = [f"median of {len(answered)} turns, {side} alone"]
    lines += [
        f"{LABELS[stage]:<30} {median(t[stage] for t in answered):6.0f} ms"
        for stage in (*STAGES, TOTAL)
    ]
    return "\n".join(lines)


def table(summary: Summary) -> str:
    """The outcome for people: one line per stage."""
    lines = [f"{'median of ' + str(summary.pairs) + ' pairs':<30}  Parlour    chain  ratio   95 %"]
    for row in summary.rows:
        if row.stage == TOTAL:
            lines.append("-" * len(lines[0]))
        ratio = "    -" if row.ratio is None else f"{row.ratio:5.2f}"
        span = "" if row.low is None or row.high is None else f"{row.low:.2f} to {row.high:.2f}"
        lines.append(
            f"{LABELS[row.stage]:<30} {row.parlour_ms:6.0f} ms {row.chain_ms:6.0f} ms "
            f"{ratio}  {span}"
        )
    p95 = summary.p95_ms
    lines.append(f"{'  its 95th percentile':<30} {p95['parlour']:6.0f} ms {p95['chain']:6.0f} ms")
    if any(summary.failed.values()):
        lost = ", ".join(f"{side} {count}" for side, count in summary.failed.items() if count)
        lines.append(f"not answered (left out above, on both sides): {lost}")
    return "\n".join(lines)


def document(
    summary: Summary | None, turns: Sequence[Turn], about: Mapping[str, object]
) -> dict[str, Any]:
    """The outcome for machines: what was run, the summary where there is one, every turn."""
    return {
        "about": dict(about),
        "summary": asdict(summary) if summary else None,
        "turns": [asdict(turn) for turn in turns],
    }
