#!/bin/sh
# What the apt sources of this image say of their packages' files, as far as a build may ask for them.
#
#   apt_contents.sh FOLDER
#
# Leaves FOLDER/files (lines of Contents indexes), FOLDER/packages (NAME TAB SOURCE TAB DEPENDS), FOLDER/sources (SOURCE TAB
# BUILD-DEPENDS of what Debian itself builds for Python), FOLDER/installed (names of what
# the image has) and FOLDER/release (a digest of what the sources' Release files are now). Runs as nobody: apt keeps its lists below FOLDER.
set -eu
folder="$1"
mkdir -p "${folder}/lists/partial" "${folder}/cache/archives/partial" "${folder}/out"
# The same places, for sources too; where they have none, apt says so and goes on.
mkdir -p "${folder}/parts"
cat /etc/apt/sources.list 2>/dev/null | sed -n 's/^deb \(.*\)/&\ndeb-src \1/p' > "${folder}/parts/image.list"
for file in /etc/apt/sources.list.d/*.list; do
    [ -e "${file}" ] || continue
    sed -n 's/^deb \(.*\)/&\ndeb-src \1/p' "${file}" > "${folder}/parts/$(basename "${file}")"
done
for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "${file}" ] || continue
    sed 's/^Types:.*/Types: deb deb-src/' "${file}" > "${folder}/parts/$(basename "${file}")"
done
cat > "${folder}/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "${folder}/parts";
Dir::State::lists "${folder}/lists";
Dir::Cache "${folder}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb {
  MetaKey "\$(COMPONENT)/Contents-\$(ARCHITECTURE)";
  ShortDescription "Contents-\$(ARCHITECTURE)";
  Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Contents";
  flatMetaKey "Contents-\$(ARCHITECTURE)";
  KeepCompressed "true";
};
CONF
export APT_CONFIG="${folder}/apt.conf"
# A mirror in the middle of its update has some indexes and not others: what is there is used, unless nothing is.
apt-get update -q || :
lists() { apt-get indextargets --format '$(FILENAME)' "Created-By: $1"; }
[ -n "$(lists Contents-deb)" ]
header='[^ ]*\.(h|hh|hpp|hxx|inc|mod)'
for list in $(lists Contents-deb); do
    /usr/lib/apt/apt-helper cat-file "${list}"
done | LC_ALL=C grep -E \
    -e "^usr/include/${header}[[:space:]]" \
    -e "^usr/include/[^ .]+[[:space:]]" \
    -e "^usr/lib/[^ ]*/include/${header}[[:space:]]" \
    -e "^usr/lib/[^ ]*\.mod[[:space:]]" \
    -e '^(usr/)?s?bin/[^ /]+[[:space:]]' \
    -e '^usr/(lib|share)/([^ ]+/)?pkgconfig/[^ /]+\.pc[[:space:]]' \
    -e '^usr/(lib|share)/[^ ]*([Cc]onfig)\.cmake[[:space:]]' \
    -e '^(usr/)?lib/([^ /]+/)?([^ /]+/)?([^ /]+/)?lib[^ /]+\.(so|a)[[:space:]]' \
    > "${folder}/out/files"
for list in $(lists Packages); do
    /usr/lib/apt/apt-helper cat-file "${list}"
done | awk -F': ' '
    $1 == "Package" { name = $2; source = name; depends = "" }
    $1 == "Source" { source = $2 }
    $1 == "Depends" { depends = $2 }
    /^$/ { if (name != "") print name "\t" source "\t" depends; name = "" }
    END { if (name != "") print name "\t" source "\t" depends }
' > "${folder}/out/packages"
for list in $(lists Sources); do
    /usr/lib/apt/apt-helper cat-file "${list}"
done | awk '
    /^[^ ]/ { field = $1 }
    $1 == "Package:" { name = $2; depends = "" }
    field == "Build-Depends:" || field == "Build-Depends-Arch:" {
        line = $0; sub(/^[A-Za-z-]+:/, "", line); depends = depends " " line
        if (line !~ /,[[:space:]]*$/) depends = depends ","
    }
    /^$/ { if (depends ~ /python|cython/) print name "\t" depends; depends = "" }
    END { if (depends ~ /python|cython/) print name "\t" depends }
' > "${folder}/out/sources"
dpkg-query --show --showformat '${Package}\n' > "${folder}/out/installed"
cat "${folder}"/lists/*Release | sha256sum | cut -d' ' -f1 > "${folder}/out/release"
