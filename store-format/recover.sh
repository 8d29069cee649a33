#!/bin/sh
# Prints the secret of one entry with nothing but age, sed and sh: for the day on which vault is not at hand.
#
#   recover.sh STORE IDENTITY NAME    the secret of NAME, byte for byte
#   recover.sh STORE -l               the names of all entries
#
# IDENTITY is a file with a member's age identity (age asks for its passphrase, if it has one) or an SSH private key.
#
# The store's keys go from one age to the next through a pipe and this shell's memory: never to a disk, never into the
# arguments of a program. age's own integrity is checked and nothing else: not who wrote the file, nor whether it is in its
# place. sed must pass bytes through as they are, a missing final line feed included: that of GNU does.
set -u
umask 077
export LC_ALL=C

fail() {
	echo "recover.sh: $*" >&2
	exit 1
}

# The header, up to the first line that is exactly three dashes, is left out.
body() {
	sed '1,/^---$/d'
}

# The names below a folder. A function in parentheses has variables of its own, which the recursion needs.
list() (
	for path in "$1"/*; do
		name=$2${path##*/}
		if [ -h "$path" ]; then
			continue
		elif [ -d "$path" ]; then
			list "$path" "$name/"
		elif [ -f "$path" ] && [ "${name%.age}" != "$name" ]; then
			printf '%s\n' "${name%.age}"
		fi
	done
)

# The store's keys, as an age identity file. One member's key file after another, until one opens.
#
# An identity behind a passphrase is opened first, so that age asks once and not for each key file.
open_keys() {
	opened=
	read -r first <"$identity" || [ -n "$first" ] || fail "$identity is empty"
	case $first in
	age-encryption.org/* | '-----BEGIN AGE ENCRYPTED FILE-----')
		opened=$(age -d "$identity") || fail "$identity does not open" ;;
	esac
	for file in "$store"/.vault/keys/*.age; do
		[ -f "$file" ] && [ ! -h "$file" ] || continue
		if [ -n "$opened" ]; then
			# echo and not printf: it is part of every shell, so nothing shows in a list of processes.
			document=$(echo "$opened" | age -d -i - "$file" 2>/dev/null) || continue
		else
			document=$(age -d -i "$identity" "$file" 2>/dev/null) || continue
		fi
		keys=$(echo "$document" | body)
		return
	done
	fail "$identity opens none of the key files in $store/.vault/keys: try age -d -i $identity FILE to see why"
}

[ $# -ge 2 ] || fail 'usage: recover.sh STORE IDENTITY NAME, or recover.sh STORE -l for the names'
store=$1
case $store in -*) store=./$store ;; esac
[ -f "$store/.vault/format" ] || fail "there is no store at $store"
if [ "$2" = -l ]; then
	list "$store" ''
	exit
fi
[ $# -eq 3 ] || fail 'usage: recover.sh STORE IDENTITY NAME'
identity=$2
case $identity in -*) identity=./$identity ;; esac
[ -f "$identity" ] && [ -r "$identity" ] || fail "there is no identity at $identity"
case /$3/ in */./* | */../* | *//* | */.vault/*) fail "\"$3\" is not a name" ;; esac
entry=$store/$3.age
[ -f "$entry" ] || fail "there is no entry \"$3\": recover.sh STORE -l lists the names"
command -v age >/dev/null || fail 'age is not on PATH'

open_keys
# The status of a pipe is sed's: age's own comes back through descriptor 3.
exec 4>&1
status=$({ { echo "$keys" | age -d -i - "$entry"; echo $? >&3; } | body >&4; } 3>&1)
[ "$status" = 0 ] || fail "\"$3\" does not open: what was printed, if anything, is not the secret"
