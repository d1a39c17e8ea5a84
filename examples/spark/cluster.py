"""A standalone cluster of Spark on the loopback of this machine, whose workers can be killed (Linux)."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

import pyspark

SPARK = pathlib.Path(pyspark.__file__).parent


class Cluster:
    def __init__(self, folder, worker_memory):
        self.folder, self.worker_memory, self.workers, self.started = folder, worker_memory, [], 0
        folder.mkdir(parents=True, exist_ok=True)
        self.master, log = self.start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        self.url = wait_for(log, r"Starting Spark master at (spark://\S+)")

    def start(self, name, *arguments):
        log = self.folder / f"{name}.log"
        environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
        with log.open("wb") as out:
            # A process group of its own, which can be killed with the executors that it starts.
            process = subprocess.Popen([SPARK / "bin/spark-class", *arguments], stdout=out, stderr=out, env=environment, start_new_session=True)
        return process, log

    def add_worker(self):
        self.started += 1
        options = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", self.worker_memory]
        folder = self.folder / f"work-{self.started}"
        worker, log = self.start(f"worker-{self.started}", "org.apache.spark.deploy.worker.Worker", *options, "-d", str(folder), self.url)
        wait_for(log, "Successfully registered with master")
        self.workers.append(worker)

    def executor(self, worker):
        """The number of the executor that a worker has."""
        for pid in descendants(worker.pid):
            with contextlib.suppress(OSError):
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"--executor-id" in command:
                    return command[command.index(b"--executor-id") + 1].decode()
        return None

    def kill(self, worker):
        """Kills a worker and its executor, as a machine that fails."""
        pids = descendants(worker.pid)
        os.killpg(worker.pid, signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker.wait()
        self.workers.remove(worker)

    def processor_seconds(self):
        """The processor time of the workers, their executors and the Python processes of these."""
        ticks = 0
        for worker in self.workers:
            for pid in [worker.pid, *descendants(worker.pid)]:
                with contextlib.suppress(OSError):
                    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                    ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        for worker in list(self.workers):
            self.kill(worker)
        os.killpg(self.master.pid, signal.SIGKILL)
        self.master.wait()


def descendants(root):
    """The processes that a process has started, and those that they have."""
    parents = {}
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found, last = [], [root]
    while last:
        last = [pid for pid, parent in parents.items() if parent in last]
        found += last
    return found


def wait_for(log, pattern, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found[1] if found.groups() else None
        time.sleep(0.1)
    raise SystemExit(f"{log} does not say {pattern!r} in {seconds} s:\n{log.read_text()[-2000:]}")


class Killer(threading.Thread):
    """Kills the worker that runs a task of a stage, once."""

    def __init__(self, spark, cluster, stage):
        super().__init__(daemon=True)
        self.cluster, self.stage, self.killed, self.ended = cluster, stage, None, threading.Event()
        # Now: to look for them would take longer than a short stage.
        self.workers = {cluster.executor(worker): worker for worker in cluster.workers}
        self.url = stages_of(spark)
        #: What the script does now.
        self.phase = None

    def run(self):
        while self.killed is None and not self.ended.wait(0.01):
            with contextlib.suppress(OSError, json.JSONDecodeError):
                self.look()

    def look(self):
        for stage in get(f"{self.url}?status=active"):
            # The claims are read in many tasks, and folded in one.
            name = "write" if self.phase == "write" else "fold" if stage["numTasks"] == 1 else "claims"
            if name != self.stage or self.phase is None or stage["numActiveTasks"] == 0:
                continue
            if name != "fold" and stage["numCompleteTasks"] == 0:
                continue
            running = get(f"{self.url}/{stage['stageId']}/{stage['attemptId']}/taskList?status=running")
            busy = [task["executorId"] for task in running if task["executorId"] in self.workers]
            if busy:
                self.cluster.kill(self.workers[busy[0]])
                self.killed = f"{name}, {stage['numCompleteTasks']} of {stage['numTasks']} tasks done"
                return


def stages_of(spark):
    """Where Spark says what its stages do."""
    context = spark.sparkContext
    return f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/stages"


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)
