# A builder with the system packages that one recipe asks for. BASE is handed in by its digest.
ARG BASE
FROM ${BASE}
ARG PACKAGES
RUN manager="$(command -v dnf || command -v microdnf || command -v yum)" \
 && "${manager}" install -y ${PACKAGES} \
 && "${manager}" clean all \
 && rm -rf /var/cache/dnf /var/cache/yum
