"""One recorded invocation once more, in a process of its own: `benchmarks/replay_cycle.py RECORDING`.

Replies come from the file one by one, so that the process holds what a function's environment holds.
Prints JSON: processor seconds of the handler and of its import, peak memory in MiB.
"""

import importlib.util
import io
import json
import os
import pickle
import sys
from pathlib import Path
from time import process_time
from typing import Any


class Replies:
    """Answers every call with its recorded reply. Raises RuntimeError for another call."""

    def __init__(self, recording: io.BufferedReader) -> None:
        self._recording = recording
        self.calls = 0

    def answer(self, model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders
        from botocore.response import StreamingBody

        service, operation, status, reply = pickle.load(self._recording)
        if (service, operation) != (model.service_model.service_name, model.name):
            raise RuntimeError(f"{model.name} was called where {operation} was recorded")
        if isinstance(body := reply.get("Body"), bytes):
            reply["Body"] = StreamingBody(io.BytesIO(body), len(body))
        self.calls += 1
        return AWSResponse("https://recorded.invalid", status, HTTPHeaders(), None), reply


def main() -> None:
    with Path(sys.argv[1]).open("rb") as recording:
        header = pickle.load(recording)
        os.environ.clear()
        os.environ.update(header["environment"])
        sys.path[:0] = header["layers"]
        import botocore.handlers
        import time_machine

        replies = Replies(recording)
        botocore.handlers.BUILTIN_HANDLERS.append(("before-call", replies.answer))
        began = process_time()
        spec = importlib.util.spec_from_file_location("app", header["handler"])
        assert spec is not None
        assert spec.loader is not None
        app = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(app)
        imported = process_time()
        with time_machine.travel(header["now"], tick=False):
            app.handler(header["event"], header["context"])
        done = process_time()
    # Not ru_maxrss: that begins with what the process that started this one had.
    status = Path("/proc/self/status").read_text()
    (peak_kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(
        json.dumps(
            {
                "import_s": imported - began,
                "core_s": done - imported,
                "peak_mib": int(peak_kib) / 1024,
                "calls": replies.calls,
            }
        )
    )


if __name__ == "__main__":
    main()
