#!/bin/sh
# Fills corpus/ from the format's test vectors. Needs age and git.
set -eu
cd "$(dirname "$0")"
vectors=../store-format/vectors
work=$(mktemp -d /dev/shm/agevault-seed.XXXXXX)
trap 'rm -rf "$work"' EXIT

# Puts what comes from standard input into the corpus of a target.
seed() {
	mkdir -p "corpus/$1"
	cat >"$work/seed"
	mv "$work/seed" "corpus/$1/$(sha256sum <"$work/seed" | cut -c 1-16)"
}

for format in "$vectors"/*/*/store/.vault/format "$vectors"/history/*/format; do
	[ -f "$format" ] && seed format_file <"$format"
done
for commit in "$vectors"/history/*/commit; do
	seed commit <"$commit"
done
for key in "$vectors"/keys/*.txt; do
	seed identity <"$key"
	grep -v -e ----- "$key" | base64 -d 2>/dev/null | tail -c +16 | seed ssh_key || true
done
for key in "$vectors"/keys/*.pub; do
	seed recipient <"$key"
done
grep -o '"[^"]*"' "$vectors/names.json" | tr -d '"' | while read -r name; do
	printf '%s' "$name" | seed name
done
for store in "$vectors"/*/*/store; do
	keys=$store/.vault/keys/laptop.age
	[ -f "$keys" ] && seed age_file <"$keys"
	age -d -i "$vectors/keys/laptop.txt" "$keys" >"$work/keys" 2>/dev/null || continue
	grep -v '^sig = ' "$work/keys" | seed key_file
	sed '1,/^---$/d' "$work/keys" >"$work/identity"
	if age -d -i "$work/identity" "$store/.vault/members.age" >"$work/members" 2>/dev/null; then
		grep -v '^sig = ' "$work/members" | seed members
	fi
	entry=$store/github/ci.age
	if [ -f "$entry" ] && age -d -i "$work/identity" "$entry" >"$work/entry" 2>/dev/null; then
		seed document <"$work/entry"
		sed '/^sig = /,$d' "$work/entry" | seed header
	fi
done
for bundle in "$vectors"/history/*/history.bundle; do
	git init -q "$work/git"
	git -C "$work/git" fetch -q "$(realpath "$bundle")" 'refs/heads/*:refs/remotes/x/*'
	git -C "$work/git" read-tree refs/remotes/x/main
	git -C "$work/git" cat-file tree 'refs/remotes/x/main^{tree}' | seed tree
	head -c -20 "$work/git/.git/index" | seed git_index
	seed git_config <"$work/git/.git/config"
	for pack in "$work"/git/.git/objects/pack/*.pack; do
		[ -f "$pack" ] && { printf '\0'; tail -c +1033 "${pack%.pack}.idx"; printf -- '---\n'; tail -c +13 "$pack"; } | seed pack
	done
	rm -rf "$work/git"
done
for time in 2027-02-20 90d 1y 12h never 2027-02-20T12:00:00+01:00 P1Y2M '1 year 2 days'; do
	printf '%s' "$time" | seed expiry
done
printf 'default_store = "work"\nclipboard_seconds = 45\n[stores.work]\npath = "~/work"\n' | seed config
sed -n '/^```toml$/,/^```$/p' ../store-format/project.md | sed '1d;$d' | seed project
printf 'export A=agevault://github/ci#username\nB="x\\n\\"y" # note\nC='"'"'1\n2'"'"'\nD = plain # note\n' | seed dotenv
for message in 0101 0102 0103000000057320312077 \
	010500000005732031207700000001010000000367657400000001010000000163 \
	0108000000057320312077000000010300000001680000000162 01090000000573203120770000000163 \
	010a00000005732031207700000001010000000367657400000001010000000163 \
	010b00000008fffffffffffffffe00000005732031207700000001010000000367657400000001010000000163 \
	010c 010600000001680000000162 010a0000000103; do
	printf '%s' "$message" | xxd -r -p | seed agent_message
done
printf 'hunter2!\nabab\nline of it\n---\nhunthunter2!2 ababab aHVudGVyMiE= 68756e7465723221 hunter2%%21 line of it\r\n' | seed mask
printf 'ref: refs/heads/main\tHEAD\n12ab\tHEAD\n' | seed remote_head
printf 'f/ci.sync-conflict-20261122-191200-ABCDEF1' | seed copied_from
printf 'ci (conflicted copy 2026-11-22)' | seed copied_from
printf 'user = {{agevault://github/ci#username:-none}}\ntoken=agevault://github/ci.\n{{agevault://}}\n---\nuser = me\ntoken=<1 github/ci>, more\n' | seed template
printf '.config/gh/hosts.yml' | seed dotfile_target
printf -- '-a/b:c/.NUL/x.age' | seed dotfile_target
printf 'capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=github.com:8443\npath=me/x.git\nusername=me\nwwwauth[]=Bearer realm=x\npassword_expiry_utc=4070908800\n---\ntoken' | seed git_credential
printf 'protocol=https\r\nhost=localhost\r\npassword=a=b\nephemeral=1\nstate[]=vault.given=1\n\n---\n' | seed git_credential
for url in https://o%40c@github.com:443/me/x.git?q=1 http://localhost/ github.com 'https://[::1]:8443' file:///home/me/.ssh/id; do
	printf '%s' "$url" | seed place
done
for prompt in "Username for 'https://localhost:8443': " "Enter passphrase for key '/home/me/.ssh/id': " '[sudo] password for me: ' \
	"me@host's password: " 'Are you sure you want to continue connecting (yes/no/[fingerprint])? '; do
	printf '%s' "$prompt" | seed askpass
done
printf 'given\t1800000000\tgithub.com\t3\tabcd\tgithub/ci\nrefused\t1800000009\tgithub.com\t3\tabcd\tgithub/ci\n' | seed offers
printf '{"ServerURL":"127.0.0.1:5055","Username":"me","Secret":"a\\"b"}' | seed docker_credential
printf 'https://registry.example/v1/' | seed docker_credential
printf '{"v":1,"registry":{"index-url":"sparse+http://127.0.0.1:9001/idx/","name":"loc","headers":[]},"kind":"login","token":"tok","login-url":"https://h/me","args":[]}' | seed cargo_credential
