# A builder with the system packages that one recipe asks for. BASE is handed in by its digest.
ARG BASE
FROM ${BASE}
ARG PACKAGES
RUN export DEBIAN_FRONTEND=noninteractive \
 && apt-get update -q \
 && apt-get install -q -y --no-install-recommends ${PACKAGES} \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/*
