# vault: one age file an entry, signed; a plain identity file, no agent. Both ways of keeping a store: --no-git but for insert_git.
# FILL is benches/fill.rs built as an example: the store binds each entry to its name, so one file cannot be copied under many.
: "${FILL:=vault-bench-fill}"
peer_check() { have vault && have "$FILL"; }
peer_version() { vault --version; }
peer_files() { command -v vault; }
peer_env() { :; }
setup_store() {
  echo "$SECRET" >"$HOME/secret" &&
    vault init --no-passphrase --no-recovery --no-git && names "$1" | "$FILL" "$HOME/secret"
}
cmd_get() { echo "vault get $1"; }
cmd_exec() {
  echo "vault exec -q$(for i in $(seq "$1"); do printf ' -e %s=%s' "$(env_name "$i")" "$(entry_name "$i")"; done) -- $2"
}
cmd_insert() { echo "exec vault add $1 <\$HOME/secret" | script insert.sh; }
prep_insert() { echo "vault rm -f $1"; }
cmd_insert_git() {
  AGEVAULT_STORE=$HOME/git-store vault init --no-recovery >&2 &&
    names "$ENTRIES" | AGEVAULT_STORE=$HOME/git-store "$FILL" "$HOME/secret" >&2 &&
    echo "exec vault --store $HOME/git-store add $1 <\$HOME/secret" | script insert_git.sh
}
prep_insert_git() { echo "vault --store $HOME/git-store rm -f $1"; }
cmd_list() { echo "vault ls --flat"; }
cmd_find() { echo "vault find $1"; }
# by metadata, as kbs2 does; vault grep looks into the secrets themselves
cmd_meta() { echo "vault find --tag bench"; }
cmd_gitcred() {
  vault add github/bench --provider github --username bench <"$HOME/secret" >&2 && vault plugins install git --global >&2 && gitcred_script
}
cmd_clone() {
  AGEVAULT_STORE=$HOME/clone-store vault init --no-recovery >&2 &&
    names "$ENTRIES" | AGEVAULT_STORE=$HOME/clone-store "$FILL" "$HOME/secret" >&2 &&
    git init -q --bare -b main "$HOME/remote.git" >&2 &&
    vault --store "$HOME/clone-store" remote add "$HOME/remote.git" >&2 && vault --store "$HOME/clone-store" sync >&2 &&
    echo "vault clone $HOME/remote.git $HOME/copy && exec vault --store $HOME/copy ls" | script clone.sh
}
prep_clone() { echo "rm -rf $HOME/copy"; }
# A new epoch: every entry is opened, signed and encrypted anew.
cmd_rekey() { echo "vault members rotate-key"; }
cmd_dotfiles() {
  for i in $(seq 20); do head -c 1024 /dev/urandom >"$HOME/.rc$i"; done
  vault dotfiles add "$HOME"/.rc* >&2 && echo "vault dotfiles apply --yes"
}
prep_dotfiles() { echo "rm -f $(echo "$HOME"/.rc*)"; }
