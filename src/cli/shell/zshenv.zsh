# zsh in `vault shell`: the user's own files are read as ever, and a mark stands before the prompt.
if [[ -n $AGEVAULT_ZDOTDIR ]]; then
    export ZDOTDIR=$AGEVAULT_ZDOTDIR
else
    unset ZDOTDIR
fi
unset AGEVAULT_ZDOTDIR
__agevault_mark() {
    # Last, since what stands there may set the prompt anew each time.
    precmd_functions=(${precmd_functions:#__agevault_mark} __agevault_mark)
    [[ $PROMPT == '(vault) '* ]] || PROMPT="(vault) $PROMPT"
}
precmd_functions+=(__agevault_mark)
if [[ -f ${ZDOTDIR:-$HOME}/.zshenv ]]; then
    source ${ZDOTDIR:-$HOME}/.zshenv
fi
