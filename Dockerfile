# syntax=docker/dockerfile:1

# By digest, so that the same source is built on the same system. The tag says what it is. To take newer ones: deploy/README.md.
ARG BUILD_IMAGE=rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG RUN_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f

FROM ${BUILD_IMAGE} AS build
# TLS and SQLite are compiled from C.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends build-essential \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked \
 && install -D target/release/flagger-jira-bridge /out/usr/local/bin/flagger-jira-bridge \
 && install -D --mode=644 LICENSE /out/usr/share/doc/flagger-jira-bridge/LICENSE \
 && mkdir /out/data
# Completions and manual pages, for those who take them out of the image.
RUN cd /out/usr/share \
 && mkdir -p bash-completion/completions zsh/vendor-completions fish/vendor_completions.d \
 && PATH=/out/usr/local/bin \
 && flagger-jira-bridge completions bash >bash-completion/completions/flagger-jira-bridge \
 && flagger-jira-bridge completions zsh >zsh/vendor-completions/_flagger-jira-bridge \
 && flagger-jira-bridge completions fish >fish/vendor_completions.d/flagger-jira-bridge.fish \
 && flagger-jira-bridge man man/man1

# No shell, no package manager, user 65532. Nothing but /data is ever written, so the root may be read-only. It brings what the
# program needs: glibc, libgcc, and in /etc/ssl/certs the authorities that Jira's certificate is checked with.
FROM ${RUN_IMAGE}
COPY --from=build /out/usr /usr
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# The default store, sqlite://bridge.db, is created here.
WORKDIR /data
VOLUME /data
# Flagger, Jira's webhook, and the admin listener (which is on loopback unless server.admin_listen says otherwise).
EXPOSE 8080 8081 9090
ENTRYPOINT ["/usr/local/bin/flagger-jira-bridge"]
CMD ["serve", "-c", "/etc/flagger-jira-bridge/config.toml"]
