# A client without a compiler: installs examples/requirements.txt with pip and with uv, wheels only, and imports each
# package. Runs in a container; its argument is the URL of the farm's index. Fails at the first thing that is not so.
set -eu
index="$1"
for compiler in cc gcc g++ clang cargo; do
    if command -v "${compiler}" >/dev/null; then
        echo "found ${compiler}: this client proves nothing" >&2
        exit 1
    fi
done
printf '%s, no compiler\n' "$(python3 --version)"

python3 -m venv /tmp/pip
/tmp/pip/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --index-url "${index}" -r /examples/requirements.txt
printf 'pip install: '
/tmp/pip/bin/python -W ignore /examples/imports.py

uv venv --quiet --python "$(command -v python3)" /tmp/uv
uv pip install --quiet --python /tmp/uv/bin/python --only-binary :all: --default-index "${index}" -r /examples/requirements.txt
printf 'uv pip install: '
/tmp/uv/bin/python -W ignore /examples/imports.py
