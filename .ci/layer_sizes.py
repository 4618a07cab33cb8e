"""Size of what `sam build` made for each layer, unzipped; fails when one is too large.

Lambda unpacks a function with its layers into at most 250 MB (AWS Lambda Developer Guide, "Lambda
quotas"); the limits here leave room beside each other, and what is loaded costs cold start.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMITS_MB = {"ForecastingLayer": 190, "SpotOptimizerLayer": 30}
"""Of a layer; that of the shared package includes the largest function's own code."""


def size_mb(directory: Path) -> float:
    """Bytes of all files below ``directory``, in units of 1024 x 1024 as Lambda counts."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 2**20


def main() -> int:
    """Print one line per layer; exit status 1 when one is missing or above its limit."""
    function_mb = max(size_mb(handler.parent) for handler in ROOT.glob("functions/*/app.py"))
    failed = False
    for layer, limit_mb in LIMITS_MB.items():
        built = ROOT / ".aws-sam" / "build" / layer
        used_mb = size_mb(built) + (function_mb if layer == "SpotOptimizerLayer" else 0)
        fits = (built / "python").is_dir() and used_mb < limit_mb
        failed |= not fits
        verdict = "" if fits else "  NOT BUILT OR TOO LARGE"
        print(f"  {layer:20} {used_mb:6.1f} MB of {limit_mb} MB{verdict}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
