"""Which of a log's lines is the root cause, what is said of it, and what mends it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from farm.errors import UsageError
from farm.work.diagnosis.explain import Explanation, diagnose, explain
from farm.work.diagnosis.knowledge import knowledge, shipped_rules
from farm.work.diagnosis.reading import plain
from farm.work.diagnosis.rules import CAUSES, check_rules, load_rules

if TYPE_CHECKING:
    from farm.model.outcome import Remedy

KNOWN = knowledge()
HEADER = "src/a.c:3:10: fatal error: lber.h: No such file or directory"


def told(*lines: str, platform: str = "") -> Explanation:
    return explain(["\n".join(lines).encode()], KNOWN, platform)


def remedy(found: Explanation, platform: str) -> Remedy:
    return next(r for r in found.remedies if r.platform == platform)


def test_the_earliest_fatal_line_is_the_root_and_consequences_never_are() -> None:
    found = told(
        "building 'a' extension",
        HEADER,
        "src/b.c:3:10: fatal error: other.h: No such file or directory",
        "error: command '/usr/bin/gcc' failed with exit code 1",
        "ERROR: Failed building wheel for a",
    )
    assert (found.cause, found.subject, found.line, found.confidence) == ("missing-system-header", "lber.h", 2, "high")


def test_a_probe_that_fails_on_purpose_is_not_the_root() -> None:
    found = told(
        "gcc -c _configtest.c -o _configtest.o",
        "_configtest.c:1:10: fatal error: pthread_np.h: No such file or directory",
        "compilation terminated.",
        "failure.",
        "removing: _configtest.c _configtest.o",
        "building 'a' extension",
        HEADER,
    )
    assert (found.subject, found.line) == ("lber.h", 7)


@pytest.mark.parametrize("torn", [0, 1, 2, 5])
def test_a_traceback_may_come_before_or_amid_the_output_that_led_to_it(torn: int) -> None:
    """A build front end reads the two streams of its backend in two threads."""
    asked = (
        "Trying pkg-config --exists foo", "Command 'pkg-config --exists foo' returned non-zero exit status 1.",
        "Trying pkg-config --exists bar", "Command 'pkg-config --exists bar' returned non-zero exit status 1.",
    )  # fmt: skip
    traceback = [
        "Traceback (most recent call last):", '  File "<string>", line 155, in <module>',
        "Exception: Can not find valid pkg-config name.", "Specify FOO_CFLAGS and FOO_LDFLAGS env vars manually", "",
    ]  # fmt: skip
    traceback[torn:torn] = asked
    found = told("* Getting build dependencies for wheel...", *traceback, "ERROR Backend subprocess exited")
    assert (found.cause, found.subject) == ("missing-system-library", "foo")


def test_the_test_right_before_a_verdict_is_the_root() -> None:
    found = told(
        "checking whether the C++ compiler works",
        "/tmp/tmpa1b2c3d4.cpp:1:10: fatal error: iostream: No such file or directory",
        "RuntimeError: Unsupported compiler -- at least C++11 support is needed!",
    )
    assert found.cause == "missing-cxx-compiler"
    assert found.confidence != "high"


def test_a_package_whose_build_went_on_to_succeed_is_not_the_root() -> None:
    found = told(
        "  Building wheel for good (setup.py): started",
        "      x.c:1:10: fatal error: optional.h: No such file or directory",
        "  Building wheel for good (setup.py): finished with status 'done'",
        "  Building wheel for bad (setup.py): started",
        f"      {HEADER}",
        "  Building wheel for bad (setup.py): finished with status 'error'",
    )
    assert (found.subject, found.line, found.facts.package) == ("lber.h", 5, "bad")


def test_a_look_up_that_failed_shortly_before_explains_what_lacks_but_not_a_fault_in_the_source() -> None:
    lookup = "/bin/sh: 1: mysql_config: not found"
    assert told(lookup, "a.c:1:10: fatal error: mysql.h: No such file or directory").line == 1
    found = told(lookup, "x.c:9:3: error: ‘PyTypeObject’ has no member named ‘tp_print’")
    assert (found.cause, found.line) == ("python-api-removed", 2)


def test_a_look_up_that_was_survived_does_not_explain_another_library_that_lacks() -> None:
    found = told(
        "No package 'hdf5' found",
        *(f"checking /opt/{number} ..." for number in range(8)),
        "ValueError: did not find netCDF version 4 headers",
    )
    assert (found.cause, found.line) == ("missing-system-library", 10)
    assert "netcdf" in found.subject.lower()


def test_a_library_that_was_looked_for_does_not_explain_a_program_that_lacks() -> None:
    found = told("No package 'sentencepiece' found", "Cloning into 'sentencepiece'...", "./build.sh: line 19: cmake: command not found")
    assert (found.cause, found.line) == ("missing-build-tool", 3)


def test_the_first_of_many_look_ups_is_the_root() -> None:
    found = told(
        *(f"No package '{name}' found" for name in ("libavformat", "libavcodec", "libavutil", "libswscale", "libx", "liby", "libz")),
        "pkg-config could not find libraries ['avformat', 'avcodec']",
    )
    assert (found.subject, found.line) == ("libavformat", 1)


def test_a_hook_that_a_backend_need_not_have_is_no_fault() -> None:
    found = told(
        "AttributeError: module 'foobuild.api' has no attribute 'prepare_metadata_for_build_wheel'",
        "During handling of the above exception, another exception occurred:",
        HEADER,
    )
    assert found.subject == "lber.h"


def test_a_download_that_was_tried_again_is_the_root_only_where_it_was_given_up() -> None:
    again = "WARNING: Retrying (Retry(total=4)) after connection broken by 'ProxyError('Cannot connect to proxy.')': /simple/a/"
    given_up = told(again, "ERROR: Could not find a version that satisfies the requirement a (from versions: none)")
    assert (given_up.cause, given_up.line) == ("network", 1)
    assert told(again, "Collecting a", "building 'a' extension", HEADER).subject == "lber.h"


def test_git_s_complaint_in_a_setup_script_is_not_the_root_when_the_build_went_on() -> None:
    found = told("fatal: not a git repository (or any of the parent directories): .git", "running build_ext", HEADER)
    assert found.subject == "lber.h"


def test_a_log_in_one_line_is_read_in_pieces() -> None:
    flags = "gcc -O2 -Wall -fPIC -I/usr/include/a -c src/a.cpp -o build/a.o " * 40
    found = told(f"Building wheel for a ... error {flags} gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory")
    assert (found.cause, found.line) == ("missing-cxx-compiler", 1)


def test_one_line_of_its_own_among_thousands_alike_is_found() -> None:
    alike = [f"2026-01-02T03:04:{number % 60:02}Z src/a{number}.c:{number}:7: error: odd thing at x{number}" for number in range(3000)]
    found = told(*alike, "2026-01-02T04:00:00Z error: could not write out.o: No space left on device", *alike)
    assert (found.cause, found.line) == ("disk-full", 3001)


def test_a_line_of_source_in_a_traceback_is_not_what_it_raises() -> None:
    found = told(
        "Traceback (most recent call last):",
        '  File "setup.py", line 3, in <module>',
        "    raise InvalidVersion(f\"Invalid version: '{version}'\")",
        "packaging.version.InvalidVersion: Invalid version: '1.x'",
    )
    assert (found.cause, found.line, found.subject) == ("invalid-metadata", 4, "1.x")


def test_what_a_narrow_terminal_broke_is_joined_and_the_first_line_shown() -> None:
    found = told("  Cargo, the Rust package ", "manager, is not installed ", "or is not on PATH.")
    assert (found.cause, found.line, found.root_line) == ("missing-rust", 1, "Cargo, the Rust package")


def test_powershell_writes_utf_16() -> None:
    assert explain([f"x\r\n{HEADER}\r\n".encode("utf-16")], KNOWN).line == 2


def test_colours_and_progress_bars_do_not_hide_a_line() -> None:
    found = told(
        "\x1b[1m10%\rsrc/a.c:3:10: \x1b[01;31m\x1b[Kfatal error: \x1b[m\x1b[Klber.h: No such file or directory\x1b[0m"
    )
    assert found.subject == "lber.h"
    assert "\x1b" not in found.root_line


def test_an_unknown_failure_shows_its_telling_lines_and_none_is_named() -> None:
    found = told("step one", "widget failed: the frobnicator is out", "done", "error: subprocess-exited-with-error")
    assert (found.cause, found.root_line, found.confidence, found.remedies) == ("unknown", "", "none", ())
    assert found.lines == ((2, "widget failed: the frobnicator is out"),)


@pytest.mark.parametrize(
    ("line", "debian", "rhel"),
    [
        (HEADER, "libldap2-dev", "openldap-devel"),
        ("a.c:1:10: fatal error: libpq-fe.h: No such file or directory", "libpq-dev", "libpq-devel"),
        ("a.c:1:10: fatal error: libxml/xmlversion.h: No such file or directory", "libxml2-dev", "libxml2-devel"),
        ("/usr/bin/ld: cannot find -lz: No such file or directory", "zlib1g-dev", "zlib-devel"),
        ("Package cairo was not found in the pkg-config search path.", "libcairo2-dev", "cairo-devel"),
        ("Error: pg_config executable not found.", "libpq-dev", "libpq-devel"),
        ("/bin/sh: 1: swig: not found", "swig", "swig"),
        ("unable to execute 'gcc': No such file or directory", "build-essential", "gcc"),
        ("a.c:1:10: fatal error: sybdb.h: No such file or directory", "freetds-dev", "freetds-devel"),
        ("a.c:1:10: fatal error: rocksdb/c.h: No such file or directory", "librocksdb-dev", "rocksdb-devel"),
    ],
)
def test_the_package_that_has_it_is_named_on_each_platform(line: str, debian: str, rhel: str) -> None:
    found = told(line)
    assert remedy(found, "debian").packages[0] == debian
    assert rhel in remedy(found, "rhel").packages
    assert debian in remedy(found, "debian").commands[-1]


def test_python_s_headers_are_those_of_the_log_s_python() -> None:
    found = told(
        "creating build/temp.linux-x86_64-cpython-312",
        "x86_64-linux-gnu-gcc -c a.c -o build/temp.linux-x86_64-cpython-312/a.o",
        "a.c:1:10: fatal error: Python.h: No such file or directory",
    )
    assert remedy(found, "debian").packages[0] == "python3.12-dev"
    assert found.remedies[0].platform == "debian"


@pytest.mark.parametrize(
    ("line", "pin"),
    [
        ("error in a setup command: use_2to3 is invalid.", "setuptools<58"),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "setuptools<82"),
        ("AttributeError: cython_sources", "Cython<3"),
        ("Compatibility with CMake < 3.5 has been removed from CMake.", "cmake<4"),
    ],
)
def test_the_symptom_tells_the_constraint(line: str, pin: str) -> None:
    assert f"`{pin}`" in remedy(told(line), "any").note


def test_the_look_up_of_a_package_is_quick_and_unknown_things_have_none() -> None:
    index = knowledge().remedies.index
    started = time.process_time()
    assert index.header("openssl/ssl.h") == ("libssl-dev",)
    assert time.process_time() - started < 0.5
    assert index.header("surely/not/there.h") == ()
    assert index.program("surely-not-there") == ()


def test_a_farm_s_own_build_is_told_in_its_words() -> None:
    found = diagnose(["building", f"\x1b[31m{HEADER}\x1b[0m", "ERROR: Failed building wheel for x"], KNOWN)
    assert (found.cause, found.number, found.line, found.subject) == ("missing-system-header", 2, HEADER, "lber.h")
    assert "libldap2-dev" in found.remedy
    assert "system-packages" in found.remedy
    assert diagnose(["widget error: the frobnicator is out"], KNOWN).summary == "widget error: the frobnicator is out"
    assert "without an error line" in diagnose(["all is well"], KNOWN).summary
    assert "without an error line" in diagnose([], KNOWN).summary


@pytest.mark.parametrize(
    "piece", ["a", "Package ", "No module named '", "error: ", " ", "-l", "fatal error: a", "not found: "]
)
def test_very_long_lines_are_read_in_seconds(piece: str) -> None:
    started = time.process_time()
    diagnose([piece * (1_000_000 // len(piece))] * 5, KNOWN)
    assert time.process_time() - started < 5


FRAMES = ('Traceback (most recent call last):', '  File "<string>", line 5, in <module>', "    from a import b")


@pytest.mark.parametrize(
    ("frame", "raised", "cause"),
    [
        ("setup.py", "ModuleNotFoundError: No module named 'setup_helpers'", "broken-sdist"),
        ("setup.py", "FileNotFoundError: [Errno 2] No such file or directory: 'a/_version'", "broken-sdist"),
        ("/x/site-packages/Cython/Build/Dependencies.py", "TypeError: 'NoneType' object is not iterable", "incompatible-build-dep"),
        ("/x/site-packages/setuptools/dist.py", "KeyError: 'project_urls'", "incompatible-build-dep"),
        ("/tmp/pip-build-env-a1b2/overlay/lib/frob/core.py", "AttributeError: module 'a' has no attribute 'b'", "incompatible-build-dep"),
        ("/x/site-packages/hatchling/metadata/core.py", "ValueError: no such thing", "invalid-metadata"),
        ("/x/site-packages/hatchling/builders/wheel.py", "ValueError: no such thing", "invalid-project-config"),
    ],
)
def test_the_innermost_frame_tells_whose_fault_an_exception_is(frame: str, raised: str, cause: str) -> None:
    found = told(*FRAMES, f'  File "{frame}", line 12, in run', "    self.it()", "    ~~~~~~~^^", raised)
    assert (found.cause, found.root_line) == (cause, raised)
    assert found.confidence != "high"


def test_an_exception_is_not_laid_to_the_frame_of_another() -> None:
    other = ('  File "/x/site-packages/setuptools/dist.py", line 1, in run', "KeyError: 'a'", "ValueError: b")
    found = told('  File "setup.py", line 3, in <module>', *other)
    assert found.root_line == "KeyError: 'a'"


def test_git_that_finds_no_repository_is_no_cause_where_the_build_fails_of_something_else() -> None:
    git = "fatal: not a git repository (or any of the parent directories): .git"
    later = "error: <urlopen error [Errno -2] Name or service not known>"
    assert told(git, "running bdist_wheel", later).cause == "network"
    assert told(git, '  File "setup.py", line 9, in <module>', "    assert version", "AssertionError").cause == "version-from-vcs"


def test_a_hook_that_a_backend_may_leave_out_is_not_what_fails() -> None:
    hook = "AttributeError: module 'hatchling.build' has no attribute 'prepare_metadata_for_build_wheel'"
    between = "During handling of the above exception, another exception occurred:"
    found = told(hook, between, "OSError: Readme file does not exist: README.md")
    assert (found.cause, found.subject) == ("broken-sdist", "Readme file does not exist: README.md")


def test_only_a_module_that_builds_are_known_to_need_is_said_to_be_missing_with_confidence() -> None:
    assert told("ModuleNotFoundError: No module named 'numpy'").confidence == "high"
    assert told("ModuleNotFoundError: No module named 'frobnicate'").confidence == "medium"


def test_a_package_that_imports_itself_before_it_is_built_has_broken_sources() -> None:
    raised = "ModuleNotFoundError: No module named 'frob_nicate'"
    lines = ("  × Failed to build `frob-nicate==1.0`", '  File "<string>", line 3, in <module>', raised)
    assert told(*lines).cause == "broken-sdist"
    assert told(*lines[1:]).cause == "missing-python-build-dep"


def missing(header: str, source: str, include: str, package: str = "frobber") -> tuple[str, str]:
    found = told(f"Building wheel for {package} (setup.py): started", f"{source}:3:10: fatal error: {header}: No such file or directory",
                 f"    3 | #include {include}", f"  ERROR: Failed building wheel for {package}")  # fmt: skip
    return found.cause, found.confidence


def test_a_header_that_no_package_has_is_told_with_less_confidence() -> None:
    assert missing("lber.h", "src/a.c", "<lber.h>") == ("missing-system-header", "high")
    assert missing("frob_vendor.h", "src/a.c", "<frob_vendor.h>") == ("missing-system-header", "medium")


def test_a_header_that_no_package_has_and_that_is_included_as_the_source_s_own_was_not_packed() -> None:
    assert missing("memory_of_frob.h", "src/a.c", '"memory_of_frob.h"') == ("broken-sdist", "medium")
    assert missing("lber.h", "src/a.c", '"lber.h"') == ("missing-system-header", "high")
    assert missing("frob.h", "src/a.c", '"frob.h"', package="pyfrob") == ("missing-system-header", "medium")


def test_a_header_that_bears_the_source_s_name_may_be_its_own_whoever_else_has_one() -> None:
    assert missing("lber.h", "deps/lber.c", "<lber.h>") == ("missing-system-header", "medium")


def test_a_missing_header_of_c_is_laid_to_apple_only_where_apple_s_compiler_says_so() -> None:
    assert told("a.c:1:10: fatal error: limits.h: No such file or directory").cause == "missing-system-header"
    assert told("a.c:1:10: fatal error: 'limits.h' file not found").cause == "missing-xcode-clt"


def test_a_download_tried_again_and_again_in_a_log_that_ends_there_is_the_cause() -> None:
    again = "WARNING: Retrying (Retry(total={}, connect=None)) after connection broken by 'NewConnectionError': /simple/frob/"
    found = told("  Installing build dependencies ... error", *(again.format(left) for left in (4, 3, 2)))
    assert (found.cause, found.line) == ("network", 2)


def test_a_statement_that_raises_is_not_what_was_raised() -> None:
    found = told('raise InvalidVersion(f"Invalid version: {version}")', "packaging.version.InvalidVersion: Invalid version: 'x'")
    assert (found.cause, found.line) == ("invalid-metadata", 2)


def test_numpy_s_own_interface_is_not_python_s() -> None:
    found = told("a.c:1:2: error: ‘PyArray_Descr’ {aka ‘struct _PyArray_Descr’} has no member named ‘elsize’")
    assert found.cause == "incompatible-build-dep"
    assert "numpy<2" in str(found.remedies)


def test_the_shipped_rules_are_in_order() -> None:
    check_rules(KNOWN.rules)
    assert {rule.cause for rule in KNOWN.rules if rule.cause} == set(CAUSES) == set(KNOWN.remedies.causes)


ROW = '[[rules]]\ncause = "broken-sdist"\nwords = ["frobnicator"]\npatterns = ["the (frobnicator) is out"]\n'


def test_own_rules_come_first_and_need_no_trigger() -> None:
    rules = load_rules(shipped_rules(), before=ROW, before_source="mine.toml")
    known = type(KNOWN)(rules=rules, remedies=KNOWN.remedies)
    found = explain([b"the frobnicator is out\n" + HEADER.encode()], known)
    assert (found.cause, found.subject, found.rule) == ("broken-sdist", "frobnicator", "mine.toml, row 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("broken-sdist", "broken"), "cause to be a code"),
        (('words = ["frobnicator"]', "words = []"), "words to be a list of strings that is not empty"),
        (("patterns", "pattern"), "found 'pattern'"),
        (("cause =", "kind = 'deadly'\ncause ="), "kind to be one of"),
        (("the (", "the ("), ""),
        (("(frobnicator)", "(frobnicator"), "a regular expression"),
        (("the (", "%{nope} ("), "a phrase of [phrases]"),
        (("[[rules]]", "[[rule]]"), "found 'rule'"),
        (("[[rules]]", "[[rules"), "TOML"),
    ],
)
def test_a_fault_in_own_rules_names_the_row_and_what_was_expected(change: tuple[str, str], message: str) -> None:
    text = ROW.replace(*change)
    if not message:
        check_rules(load_rules(shipped_rules(), before=text, before_source="mine.toml"))
        return
    with pytest.raises(UsageError) as caught:
        check_rules(load_rules(shipped_rules(), before=text, before_source="mine.toml"))
    assert "mine.toml" in caught.value.reason
    assert message in caught.value.reason


def test_plain_leaves_what_the_tool_said() -> None:
    assert plain("2026-01-02T03:04:05.678Z       │   error:  x") == "error: x"
    assert plain("50%\r\r100%\rerror: y") == "error: y"
