#!/usr/bin/env bash
# Measure `exec --mask` against cat: how much of a stream without secrets goes through in a second:   benches/mask.sh
# Needs python3, and 256 MiB of RAM in /dev/shm; dotenvx is measured beside it where it is. Prints a table; exits 1 if a ratio is under its target.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
runs=${RUNS:-10}
mib=${MIB:-256}

cargo build --quiet --release --manifest-path "$root/Cargo.toml" --bin vault
export PATH="$root/target/release:$PATH" LC_ALL=C.UTF-8

work=$(mktemp -d /dev/shm/agevault-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
unset "${!XDG_@}" "${!AGEVAULT_@}" "${!GIT_@}" 2>/dev/null || true
export HOME=$work/home AGEVAULT_STORE=$work/store
mkdir -m 700 "$HOME"
vault init --no-passphrase --no-recovery --no-git 2>/dev/null
python3 - "$work" "$mib" <<'PY'
import random, string, sys
random.seed(7)
work, mib = sys.argv[1], int(sys.argv[2])
words = ["error", "warning", "token", "https://example.org/a/b", "INFO", "ghp", "0x7f3a", "took", "12ms", "{\"key\":", "\"value\"}"]
line = lambda: " ".join(random.choice(words) for _ in range(12)) + " %d\n" % random.getrandbits(40)
block = "".join(line() for _ in range(10000))
with open(work + "/log", "w") as log:
    while log.tell() < mib << 20:
        log.write(block)
for number in range(200):
    with open(f"{work}/s{number}", "w") as out:
        out.write("ghp_" + "".join(random.choices(string.ascii_letters + string.digits, k=36)))
PY
flags=
for number in $(seq 0 199); do
  vault add "t/$number" <"$work/s$number" 2>/dev/null
  flags+=" -e T$number=t/$number"
  [ "$number" = 9 ] && ten=$flags
done

printf '#!/bin/sh\ncat %s | cat >/dev/null\n' "$work/log" >"$work/floor"
printf '#!/bin/sh\nexec vault exec -q --mask %s -- cat %s >/dev/null\n' "$ten" "$work/log" >"$work/mask10"
printf '#!/bin/sh\nexec vault exec -q --mask %s -- cat %s >/dev/null\n' "$flags" "$work/log" >"$work/mask200"
printf '#!/bin/sh\nexec vault exec -q --mask %s -- true\n' "$flags" >"$work/start200"
commands=("$work/floor" "$work/mask10" "$work/mask200" "$work/start200")
if command -v dotenvx >/dev/null; then
  for number in $(seq 0 9); do printf 'T%s=%s\n' "$number" "$(cat "$work/s$number")"; done >"$work/ten.env"
  printf '#!/bin/sh\nexec dotenvx run -q --redact -f %s -- cat %s >/dev/null\n' "$work/ten.env" "$work/log" >"$work/dotenvx"
  chmod 700 "$work/dotenvx"
  commands+=("$work/dotenvx")
fi
chmod 700 "$work/floor" "$work"/mask* "$work/start200"
"$here/interleave.py" "$runs" "" "${commands[@]}" >"$work/times"
python3 - "$work/times" "$mib" <<'PY'
import sys
times = [float(line) / 1000 for line in open(sys.argv[1])]
mib, missed = int(sys.argv[2]), False
print("| what | MiB/s | part of cat | target |\n|---|---|---|---|")
print(f"| cat | {mib / times[0]:,.0f} | 1 | |")
for name, time, target in ("10 secrets", times[1], 0.5), ("200 secrets", times[2], 0.2):
    part = times[0] / time
    missed |= part < target
    print(f"| exec --mask, {name} | {mib / time:,.0f} | {part:.2f} | {target} |")
if times[4:]:
    print(f"| dotenvx run --redact, 10 secrets | {mib / times[4]:,.0f} | {times[0] / times[4]:.2f} | |")
print(f"\nexec --mask of `true` with 200 secrets: {times[3] * 1000:.1f} ms")
sys.exit(missed)
PY
