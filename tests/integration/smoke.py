"""One small program for each tool that a builder has: shell scripts that need no network, and what they print."""

from __future__ import annotations

_CARGO = """
mkdir -p /tmp/r/src && cd /tmp/r
printf '[package]\\nname = "r"\\nversion = "1.0.0"\\nedition = "2021"\\n' > Cargo.toml
echo 'fn main() { println!("{}", 6 * 7); }' > src/main.rs
cargo build -q --offline --release && target/release/r
"""
_CMAKE = """
cd /tmp && echo 'int answer(); int main() { return answer() == 42 ? 0 : 1; }' > main.cpp
echo 'int answer() { return 42; }' > answer.cpp
printf 'cmake_minimum_required(VERSION 3.15)\\nproject(s CXX)\\nadd_executable(s main.cpp answer.cpp)\\n' > CMakeLists.txt
cmake -G Ninja -B out -S . > log && ninja -C out >> log && out/s && grep -c 'Linking CXX executable' log
"""
_SCCACHE = """
cd /tmp && export SCCACHE_DIR=/tmp/cache && echo 'int f() { return 42; }' > f.c
sccache gcc -c f.c -o one.o && sccache gcc -c f.c -o two.o && cmp one.o two.o
sccache --show-stats --stats-format=json > stats
python3 -c 'import json; print(sum(json.load(open("stats"))["stats"]["cache_hits"]["counts"].values()))'
sccache --stop-server > log 2>&1
"""
_PKG_CONFIG = """
cd /tmp && printf 'prefix=/x\\nName: thing\\nVersion: 1\\nDescription: a\\nCflags: -I${prefix}/include\\n' > thing.pc
PKG_CONFIG_PATH=/tmp pkg-config --cflags thing | tr -d ' '
"""

SCRIPTS = {
    "fortran": ("cd /tmp && printf 'program p\\nprint \"(i0)\", 6*7\\nend program\\n' > p.f90 && gfortran p.f90 -o p && ./p", "42\n"),
    "cargo": (_CARGO, "42\n"),
    "cmake-ninja": (_CMAKE, "1\n"),
    "sccache": (_SCCACHE, "1\n"),
    "pkg-config": (_PKG_CONFIG, "-I/x/include\n"),
    "patchelf": ("cp /bin/true /tmp/t && patchelf --set-rpath /x /tmp/t && patchelf --print-rpath /tmp/t", "/x\n"),
}
"""Script and output by tool."""
