#!/usr/bin/env python3
"""Weighs the example kv against Redis: the processor time that each server takes for a request.

    cargo build --release -p kettle --example kv
    bench/kv.py                            # nine rounds of a second or so for each figure
    bench/kv.py --rounds 1 --seconds 0.1   # shows that it works
    bench/kv.py --markdown BENCHMARKS.md   # writes the results between the marks

All servers are up at once, on the first processor that this may use; redis-benchmark, on the second, loads them in turns, by the same command.
A round is a run of each, in an order that rotates; the first round is thrown away. The time is the scheduler's account of all
threads of the server, user and kernel, and the account of clock ticks (utime + stime) must say the same within a tenth, or it is told.
A figure is the median of the rounds; a ratio is the median of the ratios to Redis in the same round.

It needs Linux, two processors, and redis-server, redis-cli and redis-benchmark (Debian: redis-server, redis-tools).
"""

import argparse
import datetime
import glob
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MARKS = ("<!-- results of kv -->", "<!-- end of results of kv -->")
PROCESSORS = sorted(os.sched_getaffinity(0))
REDIS = "Redis"
# What a kettle server is started with.
KETTLES = {
    "kv, io_uring": ("uring", "1"),
    "kv, epoll": ("epoll", "1"),
    "kv, two workers on one processor": ("uring", "2"),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server on the first processor."""

    def __init__(self, name, command, environment, port):
        self.name, self.port = name, port
        pin = lambda: os.sched_setaffinity(0, PROCESSORS[:1])
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, preexec_fn=pin
        )
        begin = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() - begin > 30:
                    sys.exit(f"{name} does not listen")
                time.sleep(0.05)

    def account(self):
        """Processor time so far in seconds, by the scheduler and by the clock."""
        precise = ticks = 0
        for thread in glob.glob(f"/proc/{self.process.pid}/task/*"):
            with open(f"{thread}/schedstat") as file:
                precise += int(file.read().split()[0])
        with open(f"/proc/{self.process.pid}/stat") as file:
            ticks = sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
        return precise / 1e9, ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def load(server, test, pipeline, requests):
    """Loads a server. Gives its processor time for a request by both accounts, and requests per second."""
    command = ["redis-benchmark", "-p", str(server.port), "-t", test, "-n", str(requests), "-P", str(pipeline)]
    command += ["-c", "50", "-r", "100000", "--csv"]
    before = server.account()
    pin = lambda: os.sched_setaffinity(0, PROCESSORS[1:2])
    said = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pin).stdout
    # What it does after its last answer is soon done.
    time.sleep(0.02)
    after = server.account()
    match = re.search(rf'^"{test.upper()}","([\d.]+)"', said, re.MULTILINE)
    if not match:
        sys.exit(f"{server.name}: {said}")
    precise, ticks = ((end - begin) / requests for begin, end in zip(before, after))
    return precise, ticks, float(match[1])


def start(servers, directory):
    """Adds them one by one: who can't be started leaves none of the others behind."""
    port = free_port()
    plain = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", directory]
    servers.append(Server(REDIS, plain, {}, port))
    program = os.path.join(os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target"), "release/examples/kv")
    for name, (driver, workers) in KETTLES.items():
        port = free_port()
        command = [program, "--addr", f"127.0.0.1:{port}", "--workers", workers]
        servers.append(Server(name, command, {"KETTLE_DRIVER": driver}, port))


def measure(servers, rounds, seconds):
    """Rows of (name, work, lines); a line is (server, microseconds, ratios, requests per second), of all rounds."""
    rows = []
    # In this order: what is asked for is there.
    for test in ("set", "get"):
        for pipeline in (1, 16):
            # Each server's own number of requests would be its own number of batches.
            requests = int(seconds * (50_000 if pipeline == 1 else 500_000))
            runs = {server.name: [] for server in servers}
            for turn in range(rounds + 1):
                shift = turn % len(servers)
                for server in servers[shift:] + servers[:shift]:
                    run = load(server, test, pipeline, requests)
                    if turn > 0:
                        runs[server.name].append(run)
            base = [run[0] for run in runs[REDIS]]
            lines = []
            for server in servers:
                times, ticks, rates = zip(*runs[server.name])
                # A clock that ticks a hundred times a second is off by some ticks.
                if abs(sum(ticks) - sum(times)) > max(0.1 * sum(times), 0.1 / requests):
                    print(f"{server.name}: {sum(times)} by the scheduler, {sum(ticks)} by the clock", file=sys.stderr)
                ratios = [time / redis for time, redis in zip(times, base)]
                lines.append((server.name, [time * 1e6 for time in times], ratios, rates))
            many = pipeline > 1
            how = f"{pipeline} commands at a time" if many else "one command at a time"
            rows.append((f"kv-{test}-{pipeline}" if many else f"kv-{test}", f"{test.upper()}, {how}", lines))
            print(table(rows[-1]), flush=True)
    return rows


def spread(figures):
    return f"{min(figures):.2f}..{max(figures):.2f}"


def has_target(name):
    return name != REDIS and "two" not in name


def table(row):
    """The same form as that of bench and bench/net, and one more column."""
    name, work, lines = row
    columns = "contender | us | min..max | ratio | min..max of ratios | target | thousand requests/s"
    text = f"### {name}\n\n{work}.\n\n| {columns} |\n|---|---:|---:|---:|---:|---|---:|\n"
    for server, times, ratios, rates in lines:
        ratio, verdict = statistics.median(ratios), ""
        if has_target(server):
            met = "met" if ratio <= 1.0 else "MISSED"
            verdict = f"<= 1.00 x {REDIS}: {met}, {ratio:.2f} x ({spread(ratios)})"
        figures = f"{statistics.median(times):.2f} | {spread(times)} | {ratio:.2f} | {spread(ratios)}"
        text += f"| {server} | {figures} | {verdict} | {statistics.median(rates) / 1e3:.0f} |\n"
    return text


def summary(rows):
    judged = [(row[0], line[0], line[2]) for row in rows for line in row[2] if has_target(line[0])]
    missed = [(row, name, ratios) for row, name, ratios in judged if statistics.median(ratios) > 1.0]
    lines = []
    for row, name, ratios in missed:
        measured = f"{statistics.median(ratios):.2f} x ({spread(ratios)})"
        lines.append(f"- MISSED: {row}, {name}: <= 1.00 x {REDIS}, measured {measured}")
    return f"{len(judged) - len(missed)} targets met, {len(missed)} missed." + "\n\n" * bool(lines) + "\n".join(lines)


def report(rows, arguments):
    version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split()[2]
    with open("/proc/cpuinfo") as file:
        cpu = next(text.split(":")[1].strip() for text in file if text.startswith("model name"))
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    facts = [
        f"- CPU: {cpu}, {os.cpu_count()} of them",
        f"- kernel: {platform.system()} {platform.release()}",
        f"- Redis: {version.removeprefix('v=')}",
        f"- date: {now}",
        f"- load of the machine at the end: {os.getloadavg()[1]:.1f}",
        f"- command: `bench/kv.py --rounds {arguments.rounds} --seconds {arguments.seconds}`",
    ]
    return "\n\n".join(["\n".join(facts), summary(rows)] + [table(row).rstrip() for row in rows])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--markdown")
    arguments = parser.parse_args()
    missing = [name for name in ("redis-server", "redis-benchmark") if not shutil.which(name)]
    if missing or len(PROCESSORS) < 2:
        print(f"SKIPPED: no {', '.join(missing or ['second processor'])}")
        return
    with tempfile.TemporaryDirectory() as directory:
        servers = []
        try:
            start(servers, directory)
            rows = measure(servers, arguments.rounds, arguments.seconds)
        finally:
            for server in servers:
                server.stop()
    print(summary(rows))
    if arguments.markdown:
        begin, end = MARKS
        with open(arguments.markdown) as file:
            before, rest = file.read().split(begin, 1)
        after = rest.split(end, 1)[1]
        with open(arguments.markdown, "w") as file:
            file.write(f"{before}{begin}\n{report(rows, arguments)}\n{end}{after}")


if __name__ == "__main__":
    main()
