# The clean room: a machine that only runs Python. No compiler, no headers, no pkg-config.
# BASE is the root image of the suite; farm hands it in by its digest.
ARG BASE

FROM ${BASE} AS system
ARG PYTHONS
COPY certificates.crt /etc/ssl/farm-certificates.crt
# apt reads its own copy: installing ca-certificates in an overlay rewrites the bundle of the system
RUN echo 'Acquire::https::CAInfo "/etc/ssl/farm-certificates.crt";' > /etc/apt/apt.conf.d/90farm \
 && export DEBIAN_FRONTEND=noninteractive \
 && packages="" \
 && for version in ${PYTHONS}; do packages="${packages} python${version} python${version}-venv"; done \
 && apt-get update -q \
 && apt-get install -q -y --no-install-recommends ca-certificates libgcc-s1 libstdc++6 python3 ${packages} \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/* \
 && cp /etc/ssl/farm-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/farm-certificates.crt \
    PIP_CERT=/etc/ssl/farm-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/farm-certificates.crt \
    CARGO_HTTP_CAINFO=/etc/ssl/farm-certificates.crt \
    LANG=C.UTF-8

# See builder.Dockerfile for why the index is only known to a stage of its own.
FROM system AS tools
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG PYTHONS
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_PROXY
COPY runtime.txt /tmp/
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN set -e; \
    mkdir -p /opt/python; \
    install() { \
        "python$1" -m venv "$2"; \
        "$2/bin/python" -m pip install -q --only-binary :all: --require-hashes -r /tmp/runtime.txt; \
        "$2/bin/python" -m pip uninstall -q -y setuptools; \
    }; \
    for version in ${PYTHONS}; do \
        tag="cp$(echo "${version}" | tr -d .)"; \
        if test -e /opt/farm; then \
            install "${version}" "/opt/python/${tag}-${tag}"; \
        else \
            install "${version}" /opt/farm; \
            ln -s /opt/farm "/opt/python/${tag}-${tag}"; \
        fi; \
    done

FROM system
COPY --from=tools /opt /opt
ENV PATH=/opt/farm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN set -e; \
    python -m pip --version; \
    uv --version; \
    for tool in cc c++ g++ gcc clang gfortran make cmake ninja pkg-config rustc cargo; do \
        if command -v "${tool}"; then exit 1; fi; \
    done; \
    if python -c 'import setuptools' 2>/dev/null; then exit 1; fi
CMD ["/bin/bash"]
