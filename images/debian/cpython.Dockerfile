# Free-threaded CPython of a suite's own source package, which Debian compiles only with the GIL.
# BASE is the suite's builder; what comes out is one folder, for the builder and the clean room alike.
ARG BASE

FROM ${BASE} AS source
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG VERSION
# zlib, OpenSSL and the others are the suite's: its own Python in the runtime image brings the libraries along.
RUN sed 's/^deb /deb-src /' /etc/apt/sources.list > /etc/apt/sources.list.d/source.list \
 && export DEBIAN_FRONTEND=noninteractive \
 && apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
        dpkg-dev libbz2-dev libexpat1-dev libffi-dev liblzma-dev libncurses-dev libreadline-dev libsqlite3-dev \
        libssl-dev libzstd-dev uuid-dev zlib1g-dev \
 && mkdir /tmp/source \
 && cd /tmp/source \
 && apt-get source -q "python${VERSION}" \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/*
# Two jobs: the machine may be building wheels at the same time. No profile-guided optimisation: what wheels are
# compiled with and against is the same without it.
# Debian's site.py knows the layout of its own packages only, without the t of lib/python3.14t: upstream's takes its place.
RUN set -e; \
    home="/opt/cpython/${VERSION}t"; \
    cd "/tmp/source/python${VERSION}-"*/; \
    tar -xf "../python${VERSION}_"*.orig.tar.xz --strip-components=1 --wildcards '*/Lib/site.py'; \
    ./configure -q --prefix="${home}" --disable-gil --without-static-libpython --disable-test-modules \
        --with-ensurepip=no --with-system-expat --with-wheel-pkg-dir=/usr/share/python-wheels; \
    make -j2; \
    make altinstall; \
    cd /; \
    rm -rf /tmp/source; \
    "${home}/bin/python${VERSION}t" -c 'import sys, ssl, ctypes, sqlite3, lzma, bz2, zlib; assert not sys._is_gil_enabled()'; \
    find "${home}" -name '_sysconfig*' -type f -exec sed -i 's/ -Werror=format-security//g' {} +; \
    find "${home}" -name '*.opt-[12].pyc' -delete

FROM scratch
COPY --from=source /opt/cpython /opt/cpython
