# bash in `vault shell`: the user's own file, then a mark before the prompt.
if [ -f ~/.bashrc ]; then . ~/.bashrc; fi
__agevault_mark() {
    case $PS1 in
        '(vault) '*) ;;
        *) PS1="(vault) $PS1" ;;
    esac
}
# Last, since what stands there may set the prompt anew each time.
if [[ "$(declare -p PROMPT_COMMAND 2>/dev/null)" == "declare -a"* ]]; then
    PROMPT_COMMAND+=(__agevault_mark)
else
    PROMPT_COMMAND="${PROMPT_COMMAND:+${PROMPT_COMMAND%;};}__agevault_mark"
fi
