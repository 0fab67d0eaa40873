# A builder with the system packages that one recipe asks for. BASE is handed in by its digest.
ARG BASE
FROM ${BASE}
ARG PACKAGES
RUN apk add --no-cache ${PACKAGES}
