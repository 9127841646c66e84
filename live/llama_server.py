"""llama.cpp's server: built once from the source that `llama-cpp-python` ships, and started on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

PACKAGE = "llama-cpp-python==0.3.36"
PLACE = Path(__file__).parent / ".build"
BINARY = PLACE / "cmake" / "bin" / "llama-server"
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=OFF",
    "-DGGML_OPENMP=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
)
START_SECONDS = 60.0


def find() -> Path:
    """The program: `LLAMA_SERVER`, or the one that is built when it is not there yet."""
    given = os.environ.get("LLAMA_SERVER")
    if given:
        return Path(given)
    if not BINARY.exists():
        build()
    return BINARY


def build() -> None:
    """Fetch the source and build it, telling how far it is."""
    PLACE.mkdir(exist_ok=True)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python")
    subprocess.run([*pip, "--dest", str(PLACE), PACKAGE], check=True)
    [archive] = PLACE.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(PLACE)], check=True)
    source_dir = PLACE / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"
    tree = PLACE / "cmake"
    subprocess.run(["cmake", "-S", str(source_dir), "-B", str(tree), *OPTIONS], check=True)
    jobs = str(os.cpu_count() or 1)
    subprocess.run(["cmake", "--build", str(tree), "--target", "llama-server", "-j", jobs], check=True)


class LlamaServer:
    """A running server; a context manager. `log` is what it writes."""

    def __init__(self, program: Path, model: Path, port: int, log: Path, *options: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        words = [program, "--model", model, "--host", "127.0.0.1", "--port", port, "--threads", 1, "--jinja", *options]
        self._words = [str(word) for word in words]

    def __enter__(self) -> LlamaServer:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                    if answer.status == 200:
                        return self
            except (urllib.error.URLError, OSError):
                if self._process.poll() is not None:
                    break
                time.sleep(0.2)
        self._process.kill()
        raise RuntimeError(f"llama-server did not start:\n{self.log.read_text()[-4000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)


if __name__ == "__main__":
    print(find())
