"""Frames from a bucket, by burst and by a raw reader; and a scene of 10,000 files laid out.

docs/benchmarks.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.download.checkouts import Checkouts, measure_checkouts
from benchmarks.download.published import Published, publish
from benchmarks.download.readers import Pair, Run, measure_pair, watch_burst
from benchmarks.upload.clients import NotMeasured
from benchmarks.upload.sink import running_sink

MIB = 1024 * 1024
ROUNDS = 5
FRAMES = (500, 4 * MIB)
"""The case of the goal: so many frames of so many bytes."""
OTHERS = ((2000, 64 * 1024), (2000, 512 * 1024), (60, 30 * MIB))
QUICK_FRAMES, QUICK_OTHERS = (60, 2 * MIB), ((200, 64 * 1024),)
TINY = 1024
FAR_MS = 40
FILES, QUICK_FILES = 10_000, 1_000


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of job."""

    published: Published
    latency_ms: int
    pairs: list[Pair]

    @property
    def transfer(self) -> float:
        """What burst is of the raw reader, without the starts of both: 1 is as fast."""
        return statistics.median(pair.transfer for pair in self.pairs)

    @property
    def whole(self) -> float:
        """The same with the starts."""
        return statistics.median(pair.whole for pair in self.pairs)


def main(arguments: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="scripts/bench download", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few files: does it work at all")
    parser.add_argument("--folder", type=Path, help="where 8 GiB have room [default: a new one]")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="burst-bench-download-", dir=options.folder))
    try:
        _say("a checkout …")
        checkouts = measure_checkouts(
            folder / "checkout", QUICK_FILES if options.quick else FILES, _rounds(options.quick)
        )
        main_case, others, watched = _measure(folder, quick=options.quick)
    except NotMeasured as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _report(checkouts, main_case, others, watched)
    return 0


def _measure(folder: Path, *, quick: bool) -> tuple[Case, list[Case], Run]:
    kinds = (QUICK_FRAMES, *QUICK_OTHERS) if quick else (FRAMES, *OTHERS)
    cases = []
    for latency_ms in (0, FAR_MS):
        kept = folder / f"kept-{latency_ms}"
        kept.mkdir()
        with running_sink(folder, latency_ms, keep=kept) as sink:
            # From far only the case of the goal: what waits for answers shows there.
            for count, size in kinds if not latency_ms else kinds[:1]:
                published, tiny = publish(sink, count, size), publish(sink, 1, TINY)
                pairs = []
                for number in range(_rounds(quick)):
                    _say(f"{published}, {latency_ms} ms a request: round {number + 1} …")
                    pairs.append(measure_pair(published, tiny, sink, folder / "out"))
                cases.append(Case(published, latency_ms, pairs))
                if len(cases) == 1:
                    watched = watch_burst(published, sink, folder / "out")
                sink.clear()
        shutil.rmtree(kept)
    return cases[0], cases[1:], watched


def _rounds(quick: bool) -> int:
    return 1 if quick else ROUNDS


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _report(checkouts: Checkouts, main_case: Case, others: list[Case], watched: Run) -> None:
    print(f"a scene of {checkouts.files} files is laid out")
    print(f"  links into the storage's own folder    {checkouts.mounted:6.2f} s")
    print(f"  fetched from a bucket, then laid out   {checkouts.fetched:6.2f} s")
    print(f"  again, from the cache                  {checkouts.cached:6.2f} s")
    for case in (main_case, *others):
        print(f"\n{case.published}, {case.latency_ms} ms a request")
        _line("raw reader", [pair.raw for pair in case.pairs], case.published.bytes)
        _line("burst download", [pair.burst for pair in case.pairs], case.published.bytes)
        _line("raw, its start", [pair.raw_start for pair in case.pairs], 0)
        _line("burst, its start", [pair.burst_start for pair in case.pairs], 0)
        print(f"  burst is {case.transfer:.2f} of the raw reader, {case.whole:.2f} with the starts")
    print(f"\npeak memory of burst, all processes (PSS): {watched.peak_mib:.0f} MiB")
    figures = {
        "checkout_seconds": round(checkouts.mounted, 3),
        "checkout_fetch_seconds": round(checkouts.fetched, 2),
        "checkout_cached_seconds": round(checkouts.cached, 3),
        "download_vs_raw": round(main_case.transfer, 3),
        "download_vs_raw_whole": round(main_case.whole, 3),
        **{_key(case): round(case.transfer, 3) for case in others},
        "download_seconds": round(_median([pair.burst for pair in main_case.pairs]), 2),
        "download_peak_mib": round(watched.peak_mib, 1),
        "files": checkouts.files,
        "frames": main_case.published.count,
        "bytes": main_case.published.bytes,
    }
    print(json.dumps(figures))


def _key(case: Case) -> str:
    size = case.published.size // 1024
    far = f"_{case.latency_ms}ms" if case.latency_ms else ""
    return f"download_vs_raw_{case.published.count}x{size}k{far}"


def _median(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def _line(name: str, runs: list[Run], size: int) -> None:
    seconds = _median(runs)
    least, most = min(run.seconds for run in runs), max(run.seconds for run in runs)
    cpu = statistics.median(run.cpu_seconds for run in runs)
    print(
        f"  {name:<16} {seconds:6.2f} s ({least:.2f} to {most:.2f})  {size / MIB / seconds:7.0f} "
        f"MiB/s   processor {cpu:5.1f} s"
    )
