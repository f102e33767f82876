# Two ways to the same image:
#   docker build -t quorate .                                      compiles here (some seven minutes)
#   docker build -t quorate --target ready \
#       --build-arg BINARY=target/release/quorate .                takes a program that is built already
# Both bases are arguments, for mirrors and for machines without a registry.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package quorate

FROM ${BASE_IMAGE} AS base
# HTTPS probes trust the system's authorities. A base that has them needs no network.
RUN if [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then \
        apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*; \
    fi
# Named volumes take owner and mode of these folders. Worker tokens have one of their own: workers must not see the
# control plane's secrets.
RUN groupadd --gid 10001 quorate \
    && useradd --uid 10001 --gid quorate --home-dir /var/lib/quorate --no-create-home --shell /usr/sbin/nologin quorate \
    && install --directory --owner quorate --group quorate --mode 0700 /var/lib/quorate /var/lib/quorate-worker-tokens
ENV QUORATE_DATA_DIR=/var/lib/quorate
VOLUME ["/var/lib/quorate"]
USER 10001:10001
ENTRYPOINT ["quorate"]
CMD ["--help"]
# Of the control plane; a worker answers on port 8082.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["quorate", "ready"]

FROM base AS ready
ARG BINARY=target/release/quorate
COPY ${BINARY} /usr/local/bin/quorate

FROM base AS compiled
COPY --from=build /src/target/release/quorate /usr/local/bin/quorate
