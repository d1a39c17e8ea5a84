"""`python -m idmerge` is the command: the same bytes, files and exit codes as the binary, and the same end by a signal."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import sysconfig
import time

import pyarrow.parquet as pq
import pytest
from conftest import as_line, as_pyarrow, odd_rows

MODULE = [sys.executable, "-m", "idmerge"]
SCRIPT = pathlib.Path(sysconfig.get_path("scripts"), "idmerge")

# The odd rows that are no valid events.
INVALID = 2

# A test runner may ignore signals, as under `nohup`, and child processes inherit that.
DEFAULT_SIGNALS = [sys.executable, "-c", "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"]

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and descriptors of POSIX")


@pytest.fixture(params=["binary", "module", "script"])
def program(request, command):
    """The binary, and both ways to start the command of the package."""
    return {"binary": [command], "module": MODULE, "script": [str(SCRIPT)]}[request.param]


@pytest.fixture
def inputs(tmp_path):
    """Writes the events of odd rows into a folder, as lines and as Parquet."""

    def write(name):
        folder = tmp_path / name
        folder.mkdir()
        lines = "".join(as_line(row) + "\n" for row in odd_rows()) + "no event\n"
        (folder / "events.ndjson").write_text(lines)
        pq.write_table(as_pyarrow(odd_rows()), folder / "events.parquet")
        return folder

    return write


def did(start, arguments, folder, stdin=b""):
    done = subprocess.run([*start, *arguments], cwd=folder, input=stdin, capture_output=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def compare(command, inputs, arguments, stdin=b"", names=("binary", "package")):
    """What the package did, which the binary did too."""
    folders = [inputs(name) for name in names]
    done = [did(start, arguments, folder, stdin) for start, folder in zip(([command], MODULE), folders)]
    assert done[1] == done[0]
    files = [{path.name: path for path in folder.iterdir()} for folder in folders]
    assert files[1].keys() == files[0].keys()
    for name, path in files[1].items():
        if path.suffix == ".parquet":
            assert pq.read_table(path).equals(pq.read_table(files[0][name])), name
        elif path.is_file():
            assert path.read_bytes() == files[0][name].read_bytes(), name
    code, stdout, stderr = done[1]
    return code, stdout.decode(), stderr.decode(), folders[1]


def test_resolve_writes_the_same_files(command, engine, inputs):
    arguments = f"resolve events.ndjson --engine {engine} -o out.ndjson --refused refused.ndjson --summary json"
    code, _, stderr, folder = compare(command, inputs, arguments.split())
    assert code == 0 and '"refused":3' in stderr
    assert (folder / "out.ndjson").read_text().count("\n") == len(odd_rows()) - INVALID
    assert (folder / "refused.ndjson").read_text().count("\n") == INVALID + 1


def test_parquet_is_read_and_written(command, engine, inputs):
    arguments = ["resolve", "events.parquet", "--engine", engine, "-o", "out.parquet"]
    code, _, stderr, folder = compare(command, inputs, arguments)
    assert (code, pq.read_table(folder / "out.parquet").num_rows) == (0, len(odd_rows()) - INVALID), stderr


def test_a_damaged_table_is_an_error_and_no_panic(command, inputs):
    def damaged(name):
        folder = inputs(name)
        file = folder / "events.parquet"
        file.write_bytes(file.read_bytes()[:40] + b"\xff" * 400 + file.read_bytes()[440:])
        return folder

    arguments = ["resolve", "events.parquet", "--engine", "simplified", "-o", "out"]
    folders = [damaged(name) for name in ("binary", "package")]
    done = [did(start, arguments, folder) for start, folder in zip(([command], MODULE), folders)]
    assert done[0] == done[1] and done[1][0] == 1
    assert b"events.parquet" in done[1][2] and b"panicked" not in done[1][2]


@pytest.mark.parametrize(
    "arguments",
    [
        "resolve events.ndjson --engine original",
        "clusters events.ndjson --engine simplified",
        "cluster U1 events.ndjson --engine simplified",
        "mappings events.parquet --engine original -o mappings.csv",
        "inspect events.ndjson",
        "generate --workload web-login --events 1000 --truth truth",
        "migrate events.ndjson --from original --to simplified -o new",
        "help rules",
        "resolve --help",
        "store explain --help",
        "man store explain",
        "--version",
    ],
)
def test_the_answers_are_the_same(command, inputs, arguments):
    code, stdout, stderr, _ = compare(command, inputs, arguments.split())
    # What goes into files is compared too.
    assert code == 0 and (stdout or "-o" in arguments), stderr


@pytest.mark.parametrize(
    ("arguments", "wanted", "says"),
    [
        ("resolv", 2, "unrecognized subcommand"),
        ("resolve events.ndjson", 2, "--engine"),
        ("resolve events.ndjson --engine nonsense", 2, "nonsense"),
        ("resolve --nonsense", 2, "Usage: idmerge resolve"),
        ("resolve events.ndjson events.ndjson --engine simplified --store people", 2, "--help"),
        ("cluster", 2, "Usage: idmerge cluster"),
        ("resolve missing --engine simplified", 1, "cannot open missing"),
        ("resolve events.ndjson --strict --engine simplified", 1, "refused"),
        ("lint events.ndjson --engine simplified --fail-on note", 1, ""),
        ("store digest missing", 1, "missing"),
        ("man nonsense", 2, "no command 'nonsense'"),
    ],
)
def test_failures_have_the_same_exit_code(command, inputs, arguments, wanted, says):
    code, stdout, stderr, _ = compare(command, inputs, arguments.split())
    assert code == wanted and says in stderr, stderr


def test_the_commands_are_the_same_but_for_the_server(command, inputs):
    folder = inputs("folder")

    def parts(start):
        code, text, _ = did(start, ["--help"], folder)
        commands, rest = text.decode().split("Commands:")[1].split("Options:")
        assert code == 0
        return re.findall(r"^  (\w+) .*", commands, re.M), rest

    assert parts(MODULE) == parts([command])
    assert {"resolve", "ingest", "serve"} < set(parts(MODULE)[0])


@pytest.mark.parametrize("arguments", [["serve"], ["serve", "--data", "data", "--engine", "simplified"], ["demo"]])
def test_the_package_has_no_server_and_says_where_one_is(inputs, arguments):
    code, stdout, stderr = did(MODULE, arguments, inputs("folder"))
    assert (code, stdout) == (2, b"")
    assert b"the package of Python has no server" in stderr and b"cargo install idmerge" in stderr


def test_a_store_of_either_is_one_of_both(command, inputs):
    folder = inputs("folder")
    ingest = "ingest people events.ndjson --engine simplified".split()
    assert did(MODULE, ingest, folder)[0] == 0
    code, digest, _ = did([command], ["store", "digest", "people"], folder)
    assert code == 0 and digest == did(MODULE, ["store", "digest", "people"], folder)[1]
    # The binary knows what the package has taken.
    ingest[1] = "theirs"
    assert did([command], ingest, folder)[0] == 0
    assert did([command], ["store", "digest", "theirs"], folder)[1] == digest


def test_stdin_and_stdout_are_those_of_the_process(command, inputs):
    lines = (inputs("source") / "events.ndjson").read_bytes() * 200
    arguments = "resolve - --engine simplified -q".split()
    code, stdout, _, _ = compare(command, inputs, arguments, lines)
    assert code == 0 and len(stdout) > len(lines)


@ON_POSIX
def test_a_file_name_need_not_be_utf_8(command, inputs):
    def named(name):
        folder = inputs(name)
        os.rename(folder / "events.ndjson", os.fsencode(folder) + b"/caf\xe9")
        return folder

    arguments = [b"clusters", b"caf\xe9", b"--engine", b"simplified"]
    code, stdout, stderr, _ = compare(command, named, arguments)
    assert code == 0 and "U1" in stdout, stderr


def interrupted(program, arguments, folder, has_started, **options):
    """Starts a program, and sends Ctrl-C once it is in the middle of its work."""
    with subprocess.Popen(
        [*DEFAULT_SIGNALS, *program, *arguments.split()], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    ) as process:
        deadline = time.monotonic() + 60
        while not has_started(process):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        # Stdin stays open: an end of the input would end the command too.
        code = process.wait(timeout=20)
        return code, process.stdout.read(), process.stderr.read()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@ON_POSIX
def test_ctrl_c_ends_a_command_that_waits_for_input(program, tmp_path):
    (tmp_path / "out").write_text("old\n")
    sent = []

    def has_started(process):
        if not sent:
            sent.append(process.stdin.write((as_line({"event": "half", "$device_id": "D1"}) + "\n").encode() * 10_000))
        return sum(name.startswith(".idmerge-") for name in names(tmp_path)) == 2

    done = interrupted(program, "resolve -q --engine simplified -o out --refused refused", tmp_path, has_started)
    assert done == (130, b"", b"")
    assert names(tmp_path) == ["out"] and (tmp_path / "out").read_text() == "old\n"


@ON_POSIX
def test_ctrl_c_ends_a_command_at_work_at_once(program, tmp_path):
    def has_started(_):
        return any(path.stat().st_size > 2**20 for path in tmp_path.iterdir())

    done = interrupted(program, "generate -q --workload cap --events 1000000000000 -o out", tmp_path, has_started)
    assert done == (130, b"", b"")
    assert names(tmp_path) == []


@ON_POSIX
def test_ctrl_c_before_the_command_listens_ends_it_too(tmp_path):
    # The handler of Python would raise an exception.
    program = (
        "import os, signal, runpy, idmerge._idmerge as module\n"
        "module.run_command = lambda arguments: os.kill(os.getpid(), signal.SIGINT)\n"
        "runpy.run_module('idmerge', run_name='__main__')"
    )
    done = subprocess.run([*DEFAULT_SIGNALS, sys.executable, "-c", program], capture_output=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


@ON_POSIX
def test_a_command_that_was_started_to_ignore_ctrl_c_does(program, tmp_path):
    line = (as_line({"event": "A", "$device_id": "D1"}) + "\n").encode()
    arguments = "resolve -q --engine simplified -o out".split()
    ignoring = ["sh", "-c", "trap '' INT; exec \"$0\" \"$@\""]
    with subprocess.Popen([*ignoring, *program, *arguments], cwd=tmp_path, stdin=subprocess.PIPE) as process:
        process.stdin.write(line * 10_000)
        deadline = time.monotonic() + 60
        while not any(name.startswith(".idmerge-") for name in names(tmp_path)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        process.stdin.write(line)
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == 10_001


@ON_POSIX
def test_a_reader_that_has_seen_enough_is_no_error(program, tmp_path):
    with subprocess.Popen([*program, *"generate -q --workload web-login --events 1000000".split()], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@ON_POSIX
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_not_mistaken_for_a_file(command, inputs, closed):
    shell = f'exec "$@" {closed}'
    arguments = ["resolve", "events.ndjson", "--engine", "simplified", *(["-o", "out"] if closed != ">&-" else [])]
    folders = [inputs(name) for name in ("binary", "package")]
    done = [did(["sh", "-c", shell, "sh", *start], arguments, folder) for start, folder in zip(([command], MODULE), folders)]
    assert done[1] == done[0]
    assert done[1][0] == (1 if closed == ">&-" else 0)
    if closed != ">&-":
        assert (folders[1] / "out").read_bytes() == (folders[0] / "out").read_bytes() != b""


def test_a_package_without_the_command_says_so():
    program = "import runpy, idmerge._idmerge as module\ndel module.run_command\nrunpy.run_module('idmerge', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and "no command" in done.stderr and "Traceback" not in done.stderr
