#!/usr/bin/env bash
# `git credential fill` through vault, git's own credential-store and pass-git-helper, 1,000 entries each:   benches/git.sh
# Prints rows for run.sh: what|vault|other|target, in ms. Needs a release build with the example fill, python3, pass,
# pass-git-helper and gpg.
set -eu
root=$(dirname "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)")
export PATH="$root/target/release:$root/target/release/examples:$PATH" LC_ALL=C.UTF-8
work=$(mktemp -d)
unset "${!XDG_@}" "${!AGEVAULT_@}" "${!GIT_@}" 2>/dev/null || true
export HOME=$work GIT_CONFIG_NOSYSTEM=1 GNUPGHOME=$work/gnupg GIT_TERMINAL_PROMPT=0
trap 'gpgconf --kill all 2>/dev/null; rm -rf "$work"' EXIT
runs=${RUNS:-40} count=1000

secret=tok_9f8e7d6c5b4a39281706f5e4d3c2b1a0_0123456789
printf %s "$secret" >"$work/secret"
vault init --no-passphrase --no-recovery --no-git --member bench 2>/dev/null
for i in $(seq $count); do printf 'git/host%05d\n' "$i"; done | fill "$work/secret" --url

for i in $(seq $count); do printf 'https://bench:%s@host%05d.example\n' "$secret" "$i"; done >"$work/.git-credentials"
chmod 600 "$work/.git-credentials"

mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key bench@example.org rsa2048 encrypt never 2>/dev/null
pass init bench@example.org >/dev/null
printf '%s\nlogin: bench\n' "$secret" | pass insert -m git/bench >/dev/null
mkdir -p "$work/.config/pass-git-helper"
for i in $(seq $count); do printf '[host%05d.example]\ntarget=git/bench\n' "$i"; done >"$work/.config/pass-git-helper/git-pass-mapping.ini"

printf 'protocol=https\nhost=host00500.example\n\n' >"$work/ask"
# Each through a script of its own, which becomes git: the same start for all three.
through() { # through SCRIPT HELPER
  printf '#!/bin/sh\nexec git -c credential.helper= -c credential.helper="%s" credential fill <%s\n' "$2" "$work/ask" >"$work/$1"
  chmod 700 "$work/$1"
  "$work/$1" | grep -q "^password=$secret\$" || { echo "no answer: $2" >&2; exit 1; }
}
through ours "$(command -v vault) git-credential"
through store store
through pass '!pass-git-helper'
mapfile -t t < <("$(dirname "${BASH_SOURCE[0]}")/interleave.py" "$runs" "" "$work/ours" "$work/store" "$work/pass")
echo "git credential fill, 1,000 entries; floor: credential-store|${t[0]}|${t[1]}|2"
echo "the same; floor: pass-git-helper|${t[0]}|${t[2]}|1"
