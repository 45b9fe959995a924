# Debian's archive through apt, with lists of its own: the machine's apt is read, never changed.
#
# Where the archive is and how to reach it, the machine's own configuration says.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # cache comes from whoever sources this

# debian_arch TARGET: what Debian calls it.
debian_arch() {
    case $1 in
        x86_64-*-linux-gnu) echo amd64 ;;
        aarch64-*-linux-gnu) echo arm64 ;;
        *) die "Debian has nothing for $1" ;;
    esac
}

# source_line SUITE: what names it in the archive that this machine is installed from.
source_line() {
    local codename uri keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keys" ] || die "the keys of Debian's archive are missing: install debian-archive-keyring"
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's own word
    read -r uri < <(
        apt-get indextargets --format '$(REPO_URI)' \
            'Created-By: Packages' "Release: $codename" 'Component: main'
    ) || die "the sources of apt name no archive for '$codename'"
    echo "deb [signed-by=$keys] $uri $1 main"
}

# apt SUITE ARCH PROGRAM ARGUMENT...: runs it on the lists of SUITE for ARCH alone. Neither what is
# installed here has a say, nor what the machine does after its own updates, such as cleaning up.
apt() {
    local state=$cache/apt/$1-$2
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    cat >"$state/apt.conf" <<END
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$state/lists";
Dir::State::Status "/dev/null";
Dir::Cache "$state";
APT::Architecture "$2";
APT::Architectures "$2";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
    "$3" --config-file "$state/apt.conf" "${@:4}"
}

# update SUITE ARCH: fetches the lists.
update() {
    local state=$cache/apt/$1-$2
    mkdir -p "$state"
    source_line "$1" >"$state/sources.list"
    say "reading the lists of $1 for $2"
    apt "$1" "$2" apt-get -qq update || die "cannot read the lists of $1 for $2"
}

# download SUITE ARCH PACKAGE=VERSION...: into the current folder.
download() {
    local suite=$1 arch=$2
    shift 2
    [ -e "$cache/apt/$suite-$arch/sources.list" ] || update "$suite" "$arch"
    apt "$suite" "$arch" apt-get -qq download "$@" 2>/dev/null && return
    # The lists may be older than the pins.
    update "$suite" "$arch"
    apt "$suite" "$arch" apt-get -qq download "$@" ||
        die "$suite does not offer this (any more): see 'pin'"
}
