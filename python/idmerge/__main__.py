"""The command ``idmerge``, as ``python -m idmerge`` and as the program that the package installs."""

import os
import signal
import sys

from idmerge import _idmerge


def main() -> None:
    run = getattr(_idmerge, "run_command", None)
    if run is None:
        sys.exit("idmerge: this build of the package has no command: build it with its Cargo feature \"command\"")
    # The command handles signals itself. Python's handler would let it run on, and report the interrupt at the end.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # As programs of Rust do: the next file must not get the number of a stream that is closed, and messages with it.
    for stream in 0, 1, 2:
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
