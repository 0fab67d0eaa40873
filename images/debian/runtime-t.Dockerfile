# A suite's clean room with a free-threaded Python of it added, without its headers. BASE is that clean room, CPYTHON
# what cpython.Dockerfile made; farm hands both in by their digests.
ARG BASE
ARG CPYTHON

FROM ${CPYTHON} AS cpython

FROM ${BASE} AS system
COPY --from=cpython /opt/cpython /opt/cpython
RUN rm -rf /opt/cpython/*/include /opt/cpython/*/lib/pkgconfig /opt/cpython/*/lib/python*/config-*

# See builder.Dockerfile for why the index is only known to a stage of its own.
FROM system AS tools
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG VERSION
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_PROXY
COPY runtime.txt /tmp/
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN set -e; \
    tag="cp$(echo "${VERSION}" | tr -d .)"; \
    home="/opt/python/${tag}-${tag}t"; \
    "/opt/cpython/${VERSION}t/bin/python${VERSION}t" -m venv --without-pip "${home}"; \
    /opt/farm/bin/python -m pip --python "${home}" install -q --only-binary :all: --require-hashes -r /tmp/runtime.txt; \
    mkdir /opt/new; \
    mv "${home}" /opt/new/

# Not FROM system: the headers would still be in a layer below.
FROM ${BASE}
COPY --from=tools /opt/cpython /opt/cpython
COPY --from=tools /opt/new /opt/python
RUN set -e; \
    for python in /opt/python/cp*t/bin/python; do \
        "${python}" -m pip --version; \
        "${python}" -c 'import sys, ssl, ctypes, sqlite3, lzma, bz2, zlib; assert not sys._is_gil_enabled()'; \
    done; \
    if find /opt /usr/include -name Python.h | grep .; then exit 1; fi
CMD ["/bin/bash"]
