#!/bin/sh
# Fills target/age-vectors with the official age test vectors, one file each, from the npm package cctv-age.
# Needs npm and node, and the network the first time only. Vectors that are compressed are inflated here, so
# that the test needs no zlib; their line "compressed: zlib" goes.
set -eu

version=0.2.0
sum=94a2a220a95b158a69997e84405bb5d4ef84adf05d15bf341b83ec3ba9dd846e
files=143

cd "$(dirname "$0")/.."
out=target/age-vectors
if [ "$(cat "$out/.complete" 2>/dev/null || true)" = "$version" ]; then
    exit 0
fi

fail() {
    echo "fetch-vectors: $1" >&2
    exit 1
}
command -v npm >/dev/null || fail "npm is not installed: install it, or fill $out by hand"
command -v node >/dev/null || fail "node is not installed: install it, or fill $out by hand"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$PWD
(cd "$work" && npm pack --silent "cctv-age@$version" >/dev/null) ||
    fail "npm cannot get cctv-age $version: is there a network"
tar -xzf "$work/cctv-age-$version.tgz" -C "$work" || fail "cctv-age $version does not unpack"
echo "$sum  $work/cctv-age-$version.tgz" | sha256sum -c --quiet - >/dev/null 2>&1 ||
    fail "cctv-age $version is not the file it was"

rm -rf "$out"
mkdir -p "$out"
cat >"$work/unpack.mjs" <<'END'
import { writeFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import * as vectors from "./package/index.js";

const out = process.argv[2];
let count = 0;
for (const [name, bytes] of Object.entries(vectors)) {
    if (!/^[a-z0-9_]+$/.test(name)) throw new Error(`odd name ${name}`);
    const vector = Buffer.from(bytes);
    const split = vector.indexOf("\n\n") + 2;
    let head = vector.toString("utf8", 0, split);
    let file = vector.subarray(split);
    if (head.includes("\ncompressed: zlib\n")) {
        head = head.replace("\ncompressed: zlib\n", "\n");
        file = inflateSync(file);
    }
    writeFileSync(`${out}/${name}`, Buffer.concat([Buffer.from(head), file]));
    count += 1;
}
console.log(count);
END
found=$(node "$work/unpack.mjs" "$root/$out") || fail "the vectors do not unpack"
[ "$found" -eq "$files" ] || fail "$found vectors instead of $files"
echo "$version" >"$out/.complete"
