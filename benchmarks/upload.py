"""Speed of uploads: a PUT of 1 GB against `cp` followed by fsync, in one run, and the server's memory meanwhile.

    python benchmarks/upload.py [--gigabytes 1] [--rounds 3]

The PUT's time runs from the first byte sent to the answer: by then the shard is hashed, its tar structure read to the
last byte, its member index written, and all of it is on disk. `cp` only copies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from record import free_port, record, started, wait_until_ready

from shards.writer import ShardWriter


def make_shard(path: Path, size_bytes: int, seed: int) -> None:
    """A tar of pictures' size and shape (200 kB members); the bytes are random, since nobody decodes them here."""
    noise = os.urandom(200_000)
    with ShardWriter(path) as writer:
        for number in range(size_bytes // 203_000):
            head = f"{seed}-{number:08d}".encode()
            writer.add(f"{number:08d}.jpg", head + noise)
            writer.add(f"{number:08d}.txt", b"a photo of something")


def copy_and_fsync(source: Path, target: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(["cp", str(source), str(target)], check=True)
    handle = os.open(target, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return time.perf_counter() - begin


def put(port: int, path: str, file: Path) -> float:
    """Seconds of one PUT. The kernel sends the file (sendfile): the client costs the server as little as it can."""
    size = file.stat().st_size
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection, file.open("rb") as source:
        connection.sendall(head.encode())
        connection.sendfile(source)
        answer = connection.makefile("rb").readline()
    seconds = time.perf_counter() - begin
    assert b" 201 " in answer, answer
    return seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gigabytes", type=float, default=1.0)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="densify-upload-"))
    try:
        measure(folder, int(chosen.gigabytes * 1e9), chosen.rounds)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, size_bytes: int, rounds: int) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # No worker and no Redis: nothing but uploads runs in the server, and hints have nowhere to go.
    environment = {"DENSIFY_DATA": str(folder / "data"), "DENSIFY_BROKER": f"redis://127.0.0.1:{free_port()}/0"}
    copies, puts = [], []
    with started(["serve", "--port", str(port)], environment, folder / "log") as server:
        wait_until_ready(url)
        spec = {"engine": "transformers", "model": "none"}
        httpx.post(f"{url}/v1/datasets", json={"name": "bench", "spec": spec}).raise_for_status()
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        for number in range(rounds):
            shard = folder / f"{number}.tar"
            make_shard(shard, size_bytes, number)
            actual = shard.stat().st_size
            os.sync()
            copies.append(actual / 1e6 / copy_and_fsync(shard, folder / "copy.tar"))
            (folder / "copy.tar").unlink()
            os.sync()
            puts.append(actual / 1e6 / put(port, f"/v1/datasets/bench/shards/{number}.tar", shard))
            shard.unlink()
            print(f"round {number}: cp+fsync {copies[-1]:.0f} MB/s, PUT {puts[-1]:.0f} MB/s")
        peak = int(
            next(
                line.split()[1]
                for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
                if line.startswith("VmHWM")
            )
        )
    ratios = [b / a for a, b in zip(copies, puts, strict=True)]
    record(
        "Upload",
        f"python benchmarks/upload.py --gigabytes {size_bytes / 1e9:g} --rounds {rounds}",
        [
            ("PUT, MB/s (median)", f"{statistics.median(puts):.0f}"),
            ("cp + fsync, MB/s (median)", f"{statistics.median(copies):.0f}"),
            ("ratio PUT / cp, round by round", ", ".join(f"{ratio:.2f}" for ratio in ratios)),
            ("server memory before the first upload, MiB", f"{before / 2**20:.0f}"),
            ("server memory, peak over all uploads, MiB", f"{peak / 1024:.0f}"),
        ],
        "The PUT hashes, reads the tar's structure and syncs to disk before it answers; client and server share the "
        "machine's cores.",
    )


if __name__ == "__main__":
    main()
