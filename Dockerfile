# A static binary in an empty image.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /sekimori ./cmd/sekimori \
 && mkdir -m 1777 /spool \
 && mkdir -p -m 700 /state/acme && chown -R 65532:65532 /state

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /sekimori /sekimori
COPY --from=build /spool /tmp
COPY --from=build --chown=65532:65532 /state /var/lib/sekimori
COPY deploy/sekimori.toml /etc/sekimori/sekimori.toml
USER 65532:65532
# Port 25 needs no privilege in a container with net.ipv4.ip_unprivileged_port_start=0, the default of Docker.
# Mount a configuration of your own, with upstream.address of your MTA, and, where
# Prometheus is to reach it, admin.metrics_address = ":9926" with a token:
#   docker run -p 25:25 -p 127.0.0.1:9926:9926 -v ./sekimori.toml:/etc/sekimori/sekimori.toml:ro \
#     -v ./token:/etc/sekimori/token:ro sekimori
EXPOSE 25 9925 9926
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/sekimori", "health"]
ENTRYPOINT ["/sekimori"]
CMD ["serve", "--config", "/etc/sekimori/sekimori.toml"]
