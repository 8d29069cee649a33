#!/usr/bin/env bash
# Measure dotfiles against git's own status of as many plain files, and beside yadm and chezmoi where they are:   benches/dotfiles.sh
# Needs python3 and git; yadm wants gpg. Prints a table; exits 1 if a ratio is over its target.
set -eu
root=$(dirname "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)")
runs=${RUNS:-40}
many=${MANY:-1000}

cargo build --quiet --release --manifest-path "$root/Cargo.toml" --bin vault
export PATH="$root/target/release:$PATH" LC_ALL=C.UTF-8

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset "${!XDG_@}" "${!AGEVAULT_@}" "${!GIT_@}" 2>/dev/null || true
export HOME=$work/home AGEVAULT_AGENT=off
mkdir -m 700 "$HOME"
git config --global user.name Bench
git config --global user.email bench@example.org
git config --global gc.auto 0

fill() { # fill FOLDER: files as settings are, in some folders
  python3 - "$1" "$many" <<'END'
import os, sys
for n in range(int(sys.argv[2])):
    folder = f"{sys.argv[1]}/.config/app{n % 37}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/file{n}", "w") as file:
        file.write(f"key{n} = value\n" * (n % 60 + 1))
END
}
median() { "$root/benches/interleave.py" "$runs" "$@"; } # median PREPARE COMMAND... : medians in ms

over=0
row() { # row WHAT OURS OTHER TARGET
  python3 -c 'import sys
what, ours, other, target = sys.argv[1:]
ratio = float(ours) / float(other)
print(f"| {what} | {float(ours):,.2f} | {float(other):,.2f} | {ratio:.2f} | {target} |")
sys.exit(target != "" and ratio > float(target))' "$@" || over=1
}

fill "$HOME"
vault init --no-passphrase --no-recovery --member bench 2>/dev/null
vault dotfiles add "$HOME/.config"/app* 2>/dev/null
fill "$work/plain"
git -C "$work/plain" init -q
git -C "$work/plain" add -A
git -C "$work/plain" commit -qm all
# Both trust a file's state only once it is older than the clock is fine.
sleep 1
vault dotfiles status 2>/dev/null
git -C "$work/plain" status >/dev/null

echo "| what | vault, ms | other, ms | ratio | target |"
echo "|---|---|---|---|---|"
status="vault dotfiles status"
mapfile -t t < <(median "" "$status" "git -C $work/plain status")
row "status of $many encrypted files, unchanged; other: git status of as many plain files" "${t[@]}" 3
mapfile -t t < <(median "" "vault dotfiles apply" "git -C $work/plain status")
row "apply of $many unchanged files; other: git status" "${t[@]}" ""
cp -r "$work/plain" "$work/copy"
runs=$((runs / 8 + 2))
clear="sh -c 'rm -rf $HOME/.config/app* $work/copy/.config'"
mapfile -t t < <(median "$clear" "vault dotfiles apply --yes" "git -C $work/copy checkout -q -- .")
row "apply of $many files that are missing; other: git checkout of plain files" "${t[@]}" ""

if command -v yadm >/dev/null && command -v gpg >/dev/null; then
  fill "$work/yadm"
  export GNUPGHOME=$work/gnupg
  mkdir -m 700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-gen-key bench@example.org 2>/dev/null
  y="env HOME=$work/yadm yadm"
  cp "$HOME/.gitconfig" "$work/yadm"
  $y init >/dev/null 2>&1
  $y config yadm.gpg-recipient bench@example.org
  mkdir -p "$work/yadm/.config/yadm"
  (cd "$work/yadm" && find .config/app* -type f >.config/yadm/encrypt)
  $y encrypt >/dev/null 2>&1 || true
  if [ -s "$work/yadm/.local/share/yadm/archive" ]; then
    mapfile -t t < <(median "" "$status" "$y status")
    row "status; other: yadm status, which does not look at what is encrypted" "${t[@]}" ""
    gone="sh -c 'rm -rf $HOME/.config/app* $work/yadm/.config/app*'"
    mapfile -t t < <(median "$gone" "vault dotfiles apply --yes" "$y decrypt")
    row "apply of $many files; other: yadm decrypt, one archive" "${t[@]}" ""
  else
    echo "| yadm would not encrypt here | | | | |"
  fi
else
  echo "| yadm is not here | | | | |"
fi
command -v chezmoi >/dev/null || echo "| chezmoi is not here | | | | |"
exit $over
