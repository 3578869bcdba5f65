# The server as an image: one binary on a small Debian. `docker compose up` builds and runs it.

# The page.
FROM node:20-bookworm-slim AS frontend
WORKDIR /src/frontend
# The lock file first, so that a change of a source does not install everything again.
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

# The binary, with the page and the agent inside.
FROM rust:1-slim-bookworm AS server
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends libseccomp-dev
COPY Cargo.toml Cargo.lock ./
COPY backend/ backend/
COPY testdata/ testdata/
COPY tools/static.toml tools/
COPY --from=frontend /src/static/ static/
RUN export LIBSECCOMP_LINK_TYPE=static && \
    export LIBSECCOMP_LIB_PATH="$(dirname "$(cc -print-file-name=libseccomp.a)")" && \
    cargo build --release --locked --package shellport --config tools/static.toml --target-dir /out && \
    mv /out/*/release/shellport /shellport

FROM debian:bookworm-slim
COPY --from=server /shellport /usr/local/bin/shellport
# There is no USER: the usual engine socket belongs to root, and whoever may use it is root on that
# host whatever their number in here. What the process does not need is taken away in
# docker-compose.yml instead. With a rootless engine's socket, run it as that socket's owner.
ENV SHELLPORT_DATA_DIR=/var/lib/shellport
EXPOSE 8022
# TERM: viewers are told, and sandboxes go on running.
STOPSIGNAL SIGTERM
ENTRYPOINT ["shellport"]
CMD ["serve"]
