# attnserve in a container, on Debian 13.
#
#   docker build -t attnserve .          (or: buildah bud --format docker ...)
#   docker run --read-only -p 8001:8001 -p 8002:8002 attnserve
#   docker build -t attnctl --target client .
#
# Each image holds one program, the shared libraries that it needs, a list of both
# (/usr/share/doc/attnserve/sbom.spdx.json) and nothing else: no shell, no package
# manager. tests/tools/image builds and runs both.

ARG BASE=debian:trixie-slim

FROM ${BASE} AS tools
# ccache and apt keep their caches between builds where the builder has a place
# for them; they are no part of the image.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean && \
    apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ccache cmake g++ jq libabsl-dev libcivetweb-dev libcli11-dev libdnnl-dev \
      libgrpc++-dev libhwy-dev libisal-dev libprotobuf-dev libspdlog-dev libssl-dev libxxhash-dev \
      ninja-build nlohmann-json3-dev pkg-config prometheus-cpp-dev protobuf-compiler protobuf-compiler-grpc
WORKDIR /source
COPY CMakeLists.txt CMakePresets.json LICENSE ./
COPY core core
COPY proto proto
COPY deploy/container deploy/container

# No array on the stack whose size a client could choose: the compiler refuses
# variable length arrays and alloca in what is deployed.
FROM tools AS build
COPY server server
RUN --mount=type=cache,target=/ccache \
    CCACHE_DIR=/ccache cmake --preset release \
      -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
      -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG -Werror=vla -Werror=alloca" \
      -DATTN_BUILD_CLIENT=OFF -DATTN_BUILD_TESTS=OFF && \
    CCACHE_DIR=/ccache cmake --build build/release --target attnserve && \
    deploy/container/rootfs build/release/server/attnserve /rootfs

FROM tools AS build-client
COPY client client
RUN --mount=type=cache,target=/ccache \
    CCACHE_DIR=/ccache cmake --preset release \
      -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
      -DATTN_BUILD_SERVER=OFF -DATTN_BUILD_TESTS=OFF && \
    CCACHE_DIR=/ccache cmake --build build/release --target attnctl && \
    deploy/container/rootfs build/release/client/cpp/attnctl /rootfs

# attnctl alone: for a load, for the chart's test, for looking in from inside.
FROM scratch AS client
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="attnctl" \
      org.opencontainers.image.description="Command-line client of attnserve" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="debian:trixie-slim"
COPY --from=build-client /rootfs /
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/attnctl"]

FROM scratch AS server
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="attnserve" \
      org.opencontainers.image.description="Scaled dot-product attention as a gRPC service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="debian:trixie-slim"
COPY --from=build /rootfs /
# A container's loopback is its own: listen on all its addresses.
ENV ATTNSERVE_GRPC_ADDRESS=0.0.0.0:8001 \
    ATTNSERVE_HTTP_ADDRESS=0.0.0.0:8002
# Numeric, because Kubernetes' runAsNonRoot cannot look a name up.
USER 65532:65532
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/usr/bin/attnserve", "healthcheck"]
ENTRYPOINT ["/usr/bin/attnserve"]
