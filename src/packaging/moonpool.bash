# bash completion for moonpool.

_moonpool() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words=
    COMPREPLY=()
    case $before in
    -e | -l | -j | -F) return ;;
    --resume)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    esac
    if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
        words='map journal replay top help'
    else
        case $command in
        map) words='-F -j -l -e -u -k --json --progress --resume -h --help' ;;
        journal) words='--csv --jsonl -h --help' ;;
        top) words='--once --json -h --help' ;;
        help) words='map journal replay top help' ;;
        replay) ;;
        *) words='-e -i -l -v -E -W -j' ;;
        esac
        [[ $command == help || $word == -* ]] || words=
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [[ $word != -* && $command != help && $command != top ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -F _moonpool moonpool
