# shellcheck shell=bash
# direnv's `use vault`: the variables that vault chooses here, for as long as one is in the folder.
# Kept in ~/.config/direnv/lib/vault.sh. What stands behind `use vault` is a selection of `vault exec`.
# If vault refuses, the whole .envrc counts for nothing.
use_vault() {
    local vault lines
    watch_file .agevault.toml
    # Under its other name first: elsewhere `vault` is another program.
    if ! vault=$(command -v agevault || command -v vault); then
        log_error "use vault: there is no program vault"
        exit 1
    fi
    if ! lines=$("$vault" exec --quiet "$@" --unsafe-export); then
        log_error "use vault: vault refused, nothing is set"
        exit 1
    fi
    eval "$lines"
}
