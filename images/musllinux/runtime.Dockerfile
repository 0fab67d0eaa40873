# The clean room for musllinux wheels. BASE has no default: an Alpine image with a Python of version
# 3.11 or newer as `python3`, such as the official Python image for Alpine. config.toml names it, by digest.
ARG BASE

FROM ${BASE} AS system
COPY certificates.crt /etc/ssl/farm-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/farm-certificates.crt \
    PIP_CERT=/etc/ssl/farm-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/farm-certificates.crt \
    CARGO_HTTP_CAINFO=/etc/ssl/farm-certificates.crt

# See builder.Dockerfile for why the index is only known to a stage of its own.
FROM system AS tools
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_PROXY
COPY runtime.txt /tmp/
RUN set -e; \
    python3 -m venv /opt/farm; \
    /opt/farm/bin/python -m pip install -q --no-cache-dir --only-binary :all: --require-hashes -r /tmp/runtime.txt; \
    /opt/farm/bin/python -m pip uninstall -q -y setuptools; \
    mkdir -p /opt/python; \
    tag="$(/opt/farm/bin/python -c 'import sys; print("cp%d%d-cp%d%d" % (sys.version_info[:2] * 2) + sys.abiflags)')"; \
    ln -s /opt/farm "/opt/python/${tag}"

FROM system
COPY --from=tools /opt /opt
ENV PATH=/opt/farm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN set -e; \
    python -m pip --version; \
    uv --version; \
    for tool in cc c++ g++ gcc clang gfortran make cmake ninja pkg-config rustc cargo; do \
        if command -v "${tool}"; then exit 1; fi; \
    done
CMD ["/bin/sh"]
