#!/usr/bin/env bash
# Makes images under the very names that docker/Dockerfile and docker/compose.yaml use, for a machine that reaches a Debian
# mirror, npm and Go modules but no registry of images: so the recipes run unchanged. They are for trying things out only; what
# each one lacks is written at it.
#   docker/stand-ins/build.sh [node|postgres|nats|edge|objectstore|mailbox]…      (all that the engine does not have yet)
# Needs root, a Docker engine, mmdebstrap, Go ≥ 1.24, and `pnpm install` of this clone.
set -euo pipefail
cd "$(dirname "$0")/../.."

clone=$PWD
cache=$PWD/.devstack/cache/stand-ins
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache"
nats_version=v2.12.15
# The one that `pnpm minio` builds.
minio_version=$(sed -n "s/^const VERSION = '\(.*\)'$/\1/p" packages/devstack/src/fetch/minio-binary.ts)

# The name that stands in compose.yaml, or in the first FROM.
image_of() {
  if [ "$1" = node ]; then sed -n 's/^FROM \(node:\S*\).*/\1/p' docker/Dockerfile
  else sed -n "/^  $1:/,/^    image:/s/^    image: //p" docker/compose.yaml; fi
}

# debian SUITE PACKAGES: unpacks a minimal system with these packages into $root. Mirrors may be older than their lists say
# they are good for; apt still checks the signature.
debian() {
  local tar
  tar=$cache/$1-$(echo "$2" | sha256sum | cut -c1-12).tar
  if [ ! -s "$tar" ]; then
    nice mmdebstrap --quiet --format=tar --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --include="$2" "$1" "$tar.part"
    mv "$tar.part" "$tar"
  fi
  tar --extract --file "$tar" --directory "$root" --exclude='./dev/*'
  # What this machine trusts, so that a mirror of its own is believed.
  mkdir -p "$root/etc/ssl/certs" && cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

# go_program MODULE PATH_IN_ROOT: a static program.
go_program() {
  GOBIN=$cache/bin CGO_ENABLED=0 nice go install -trimpath -ldflags='-s -w' "$1"
  install -D "$cache/bin/$(basename "${1%@*}" | sed 's/^v2$/nats-server/')" "$root$2"
}

# image NAME INSTRUCTIONS…: makes the image of what is in $root.
image() {
  local name=$1
  shift
  mkdir "$work/context"
  tar --create --file "$work/context/root.tar" --directory "$root" .
  printf '%s\n' 'FROM scratch' 'ADD root.tar /' \
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$@" > "$work/context/Dockerfile"
  docker build --quiet --tag "$name" "$work/context" > /dev/null
  rm -r "$work/context"
  echo "$name"
}

node_program() {
  install -D node_modules/node-linux-*/bin/node "$root/usr/local/bin/node"
}

make_node() {
  debian bookworm ca-certificates
  node_program
  (cd "$work" && npm pack --silent npm@11 > /dev/null)
  mkdir -p "$root/usr/local/lib/node_modules/npm"
  tar --extract --file "$work"/npm-*.tgz --strip-components 1 --directory "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
  image "$1" 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' 'CMD ["node"]'
}

# Debian's build of the same major version, and a start that does what ours needs of the official one.
make_postgres() {
  debian sid postgresql-18,gosu,libnss-wrapper
  local bin=/usr/lib/postgresql/18/bin
  install docker/stand-ins/postgres/docker-entrypoint.sh "$root/usr/local/bin/"
  sed -ri "s/^#?listen_addresses .*/listen_addresses = '*'/" "$root/usr/share/postgresql/18/postgresql.conf.sample"
  rm -rf "$root"/var/lib/postgresql/* "$root"/etc/postgresql/18
  chroot "$root" sh -c 'mkdir -p /var/run/postgresql && usermod --non-unique --uid 999 postgres && groupmod --non-unique --gid 999 postgres &&
    chown -R 999:999 /var/lib/postgresql /var/run/postgresql && chmod 1777 /var/lib/postgresql && chmod 3777 /var/run/postgresql'
  image "$1" "ENV PATH=$bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" 'ENV LANG=C.UTF-8 PG_MAJOR=18' \
    'ENV PGDATA=/var/lib/postgresql/18/docker' 'VOLUME /var/lib/postgresql' 'STOPSIGNAL SIGINT' 'EXPOSE 5432' \
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]'
}

# A shell and wget, as Alpine has them, with one program each.
busybox() {
  (cd "$work" && apt-get download -qq busybox-static && dpkg -x busybox-static_*.deb "$work/busybox")
  install -D "$(find "$work/busybox" -type f -path "*bin/busybox")" "$root/bin/busybox"
  for program in sh wget cat echo sleep mkdir ls; do ln -s busybox "$root/bin/$program"; done
  mkdir -p "$root/tmp" "$root/etc" && chmod 1777 "$root/tmp"
}

make_nats() {
  busybox
  go_program "github.com/nats-io/nats-server/v2@$nats_version" /usr/local/bin/nats-server
  printf '#!/bin/sh\ncase "$1" in -*) set -- nats-server "$@" ;; esac\nexec "$@"\n' > "$root/usr/local/bin/docker-entrypoint.sh"
  chmod +x "$root/usr/local/bin/docker-entrypoint.sh"
  image "$1" 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["nats-server"]' 'EXPOSE 4222 6222 8222'
}

# Debian’s nginx is of a later minor version; the modules that the edge uses are the same.
make_edge() {
  debian sid nginx-light
  chroot "$root" sh -c 'groupadd --gid 101 nginx; useradd --uid 101 --gid 101 --no-create-home nginx' || true
  printf '#!/bin/sh\nexec "$@"\n' > "$root/docker-entrypoint.sh"
  chmod +x "$root/docker-entrypoint.sh"
  image "$1" 'ENTRYPOINT ["/docker-entrypoint.sh"]' 'CMD ["nginx", "-g", "daemon off;"]' 'STOPSIGNAL SIGQUIT' 'EXPOSE 80'
}

# MinIO, of which Silo is the continuation; `mc` only answers `mc ready`.
make_objectstore() {
  busybox
  go_program "github.com/minio/minio@$minio_version" /usr/bin/minio
  printf '#!/bin/sh\nexec wget -q -O /dev/null http://127.0.0.1:9000/minio/health/ready\n' > "$root/usr/bin/mc"
  printf '#!/bin/sh\n[ "$1" = minio ] || set -- minio "$@"\nexec "$@"\n' > "$root/usr/bin/docker-entrypoint.sh"
  chmod +x "$root/usr/bin/mc" "$root/usr/bin/docker-entrypoint.sh"
  image "$1" 'ENTRYPOINT ["/usr/bin/docker-entrypoint.sh"]' 'VOLUME /data' 'CMD ["minio"]' 'EXPOSE 9000'
}

# Mailpit's pages are built by tools of its own, so this is the mailbox of `pnpm dev`, which answers the same API.
make_mailbox() {
  debian bookworm ca-certificates
  node_program
  mkdir -p "$root/app/packages/devstack"
  cp -r packages/devstack/src/mailbox "$root/app/packages/devstack/"
  cp packages/devstack/package.json "$root/app/packages/devstack/"
  local modules="$root/app/packages/devstack/node_modules"
  mkdir -p "$modules"
  (cd "$modules/.." && echo '{"private":true,"type":"module"}' > package.json && \
    npm install --silent --no-save --ignore-scripts \
      "mailparser@$(version_of mailparser)" "smtp-server@$(version_of smtp-server)")
  printf '%s\n' '#!/bin/sh' \
    'if [ "$1" = readyz ]; then' \
    '  exec node -e "fetch(\"http://127.0.0.1:8025/readyz\").then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"' \
    'fi' \
    'exec node /app/packages/devstack/mailbox/main.ts' > "$root/mailpit"
  chmod +x "$root/mailpit"
  image "$1" 'ENV MAILBOX_HOST=0.0.0.0 MAILBOX_SMTP_PORT=1025 MAILBOX_HTTP_PORT=8025' 'ENTRYPOINT ["/mailpit"]' \
    'EXPOSE 1025 8025'
}

version_of() {
  sed -n "s/^  $1: //p" "$clone/pnpm-workspace.yaml"
}

wanted=("$@")
if [ $# = 0 ]; then
  for name in node postgres nats edge objectstore mailbox; do
    docker image inspect "$(image_of "$name")" > /dev/null 2>&1 || wanted+=("$name")
  done
fi
for name in "${wanted[@]}"; do
  declare -F "make_$name" > /dev/null || { echo "There is no stand-in called $name." >&2; exit 1; }
  root=$work/$name
  mkdir -p "$root"
  "make_$name" "$(image_of "$name")"
  rm -rf "$root"
done
