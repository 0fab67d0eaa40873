# A suite's builder with a free-threaded Python of it added. BASE is that builder, CPYTHON what cpython.Dockerfile made;
# farm hands both in by their digests.
ARG BASE
ARG CPYTHON

FROM ${CPYTHON} AS cpython

FROM ${BASE} AS toolchain
COPY --from=cpython /opt/cpython /opt/cpython

# See builder.Dockerfile for why the index is only known to a stage of its own.
FROM toolchain AS tools
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG VERSION
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_PROXY
COPY frontend.txt /tmp/
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN set -e; \
    tag="cp$(echo "${VERSION}" | tr -d .)"; \
    home="/opt/python/${tag}-${tag}t"; \
    "/opt/cpython/${VERSION}t/bin/python${VERSION}t" -m venv --without-pip "${home}"; \
    /opt/farm/bin/python -m pip --python "${home}" install -q --only-binary :all: --require-hashes -r /tmp/frontend.txt; \
    mkdir /opt/new; \
    mv "${home}" /opt/new/

FROM toolchain
COPY --from=tools /opt/new /opt/python
RUN set -e; \
    for python in /opt/python/cp*t/bin/python; do \
        "${python}" -c 'import sys; assert not sys._is_gil_enabled()'; \
        "${python}" -m build --version; \
        if "${python}" -c 'import setuptools' 2>/dev/null; then exit 1; fi; \
    done
CMD ["/bin/bash"]
