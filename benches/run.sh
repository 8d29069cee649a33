#!/usr/bin/env bash
# Measure vault against its floors, in one run, as ratios:   benches/run.sh
# It works below $TMPDIR: on a disk, or in /dev/shm, which leaves the disk out.
# Needs valgrind, python3, git, ssh-keygen, and pass-git-helper with pass and gpg. Prints a table; exits 1 if a ratio is over its target.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
runs=${RUNS:-40}
many=${MANY:-10000}

cargo build --quiet --release --manifest-path "$root/Cargo.toml" --bin vault --example fill --example chain --example recrypt
cargo build --quiet --release --manifest-path "$here/floor/Cargo.toml" --target-dir "$root/target/floor"
bin=$root/target/release floor=$root/target/floor/release
export PATH="$bin:$bin/examples:$floor:$PATH" LC_ALL=C.UTF-8

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset "${!XDG_@}" "${!AGEVAULT_@}" "${!GIT_@}" 2>/dev/null || true
export HOME=$work/home
mkdir -m 700 "$HOME"
git config --global user.name Bench
git config --global user.email bench@example.org
git config --global gc.auto 0
printf %s 'tok_9f8e7d6c5b4a39281706f5e4d3c2b1a0_0123456789' >"$work/secret"

names() { awk -v n="$1" 'BEGIN{for(i=1;i<=n;i++)printf "team%d/app%d/token%05d\n",i%7,i%50,i}'; }
make() { # make STORE N [init flags]
  local store=$1 n=$2
  shift 2
  AGEVAULT_STORE=$store vault init --no-passphrase --no-recovery --member bench "$@" 2>/dev/null
  names "$n" | AGEVAULT_STORE=$store fill "$work/secret"
}
make "$work/few" 20 --no-git
make "$work/plain" "$many" --no-git
make "$work/git" "$many"
identity=$HOME/.config/agevault/identities
entry=team1/app1/token00001

instructions() { # instructions COMMAND... : user-space instructions of one run
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null | awk '/Collected/ {print $NF}'
}
median() { "$here/interleave.py" "$runs" "$@"; } # median PREPARE COMMAND... : medians in ms

over=0
row() { # row WHAT OURS FLOOR UNIT TARGET
  python3 -c 'import sys
what, ours, floor, unit, target = sys.argv[1:]
ratio = float(ours) / float(floor)
print(f"| {what} | {float(ours):,.2f} | {float(floor):,.2f} | {unit} | {ratio:.2f} | {target} |")
sys.exit(ratio > float(target))' "$@" || over=1
}

echo "| what | vault | floor | unit | ratio | target |"
echo "|---|---|---|---|---|---|"
export AGEVAULT_STORE=$work/few
get="vault get $entry"
get_floor="floor-get $identity $work/few/.vault/keys/bench.age $work/few/$entry.age"
vault get $entry >/dev/null
row "get, instructions" "$(instructions $get)" "$(instructions $get_floor)" instructions 1.4
mapfile -t t < <(median "" "$get" "$get_floor")
row "get, time" "${t[@]}" ms 1.3
mapfile -t t < <(median "" "vault exec -q -e T=$entry -- /bin/true" "$get")
row "exec of true, 1 entry; floor: get" "${t[@]}" ms 1.5

# The same through the agent: a store behind a passphrase, unlocked once.
export AGEVAULT_IDENTITY=$work/protected
agent="vault --store $work/agent"
AGEVAULT_PASSPHRASE_CMD="echo bench" $agent init --no-recovery --member bench --no-git 2>/dev/null
AGEVAULT_PASSPHRASE_CMD="echo bench" $agent add $entry <"$work/secret" 2>/dev/null
AGEVAULT_PASSPHRASE_CMD="echo bench" $agent unlock --for 1h 2>/dev/null
unset AGEVAULT_IDENTITY
trap 'vault lock 2>/dev/null; rm -rf "$work"' EXIT
# Both stores have a name, so that neither needs a variable, and both read the configuration.
vault store add protected "$work/agent" --identity "$work/protected" 2>/dev/null
vault store add few "$work/few" 2>/dev/null
through="vault --store protected get $entry"
mapfile -t t < <(median "" "$through" "vault --store few get $entry")
row "get through the agent; floor: get with a plain identity" "${t[@]}" ms 1.2
for _ in $(seq 1000); do AGEVAULT_PASSPHRASE_CMD=false $through >/dev/null || { echo "asked again" && exit 1; }; done
rm "$HOME/.config/agevault/config.toml"
echo "| 1,000 gets through the agent, unlocked once | | | no prompt | | |"

ours="vault exec -q" floor_exec="floor-exec $identity $work/few/.vault/keys/bench.age"
i=0
for name in $(names 20); do
  i=$((i + 1)) ours+=" -e T$i=$name" floor_exec+=" T$i=$work/few/$name.age"
done
mapfile -t t < <(median "" "$ours -- /bin/true" "$floor_exec -- /bin/true")
row "exec, 20 entries" "${t[@]}" ms 1.3

export AGEVAULT_STORE=$work/plain
mapfile -t t < <(median "" "vault ls --flat" "find $work/plain -name *.age" "vault find --expiring 30d")
row "ls --flat, $many entries; floor: find" "${t[0]}" "${t[1]}" ms 2
row "find --expiring 30d, $many entries; floor: ls --flat" "${t[2]}" "${t[0]}" ms 2

"$here/git.sh" >"$work/git-rows"
while IFS='|' read -r what ours floor target; do row "$what" "$ours" "$floor" ms "$target"; done <"$work/git-rows"

add() { printf '#!/bin/sh\nexec vault --store %s add new/entry <%s\n' "$1" "$work/secret" >"$work/$2" && chmod 700 "$work/$2"; }
add "$work/git" add-git
add "$work/plain" add-plain
add "$work/few" add-few
undo="sh -c 'vault --store $work/git rm -f new/entry; vault --store $work/plain rm -f new/entry; vault --store $work/few rm -f new/entry; true'"
mapfile -t t < <(median "$undo" "$work/add-git" "$work/add-plain" "$work/add-few" 2>/dev/null)
row "add with commit, $many entries; floor: add --no-git" "${t[0]}" "${t[1]}" ms 3
row "add --no-git, $many entries; floor: 20 entries" "${t[1]}" "${t[2]}" ms 3

# Each run lets another member in, so that nothing has to be undone.
for i in $(seq 20); do ssh-keygen -q -t ed25519 -N '' -f "$work/key$i"; done
echo 0 >"$work/count"
cat >"$work/add-member" <<END
#!/bin/sh
n=\$((\$(cat $work/count) + 1))
echo \$n >$work/count
exec vault --store $work/git members add m\$n --from-keys $work/key\$n.pub
END
chmod 700 "$work/add-member"
all=$runs runs=10
mapfile -t t < <(median "$undo" "$work/add-member" "$work/add-git" 2>/dev/null)
row "members add, $many entries; floor: add" "${t[0]}" "${t[1]}" ms 3
export AGEVAULT_STORE=$work/git
runs=5
mapfile -t t < <(median "" "vault members rotate-key" recrypt 2>/dev/null)
row "a new epoch, $many entries; floor: their cryptography" "${t[0]}" "${t[1]}" ms 1.5
runs=$all

# A history of sealed commits, verified by a device that has not seen them; the same history with SSH signatures, by git.
commits=${COMMITS:-10000}
AGEVAULT_STORE=$work/chain vault init --no-passphrase --no-recovery --member bench 2>/dev/null
git init -q --bare -b main "$work/remote.git"
vault --store "$work/chain" remote add "$work/remote.git" 2>/dev/null
vault --store "$work/chain" sync >/dev/null 2>&1
vault clone "$work/remote.git" "$work/other" 2>/dev/null
AGEVAULT_STORE=$work/chain chain "$work/secret" "$commits"
git -C "$work/chain" repack -adq
git -C "$work/chain" push -q "$work/remote.git" main
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
printf 'bench@example.org %s' "$(cat "$work/key.pub")" >"$work/allowed"
git clone -q --bare "$work/remote.git" "$work/signed.git"
cd "$work/signed.git"
git config gpg.format ssh
git config user.signingKey "$work/key"
git config gpg.ssh.allowedSignersFile "$work/allowed"
parent=
for tree in $(git log --reverse --format=%T main); do
  parent=$(git commit-tree -S ${parent:+-p "$parent"} -m change "$tree")
done
git update-ref refs/heads/main "$parent"
cd "$root"
seconds() { # seconds COMMAND... : wall time in ms of one run
  local begun
  begun=$(date +%s%N)
  "$@" >/dev/null 2>&1
  echo $((($(date +%s%N) - begun) / 1000000))
}
ours=$(seconds vault --store "$work/other" sync --dry-run)
theirs=$(seconds git -C "$work/signed.git" log --show-signature --format=%G? main)
row "fetch and verify $commits commits; floor: git log --show-signature, SSH" "$ours" "$theirs" ms 0.05
exit $over
