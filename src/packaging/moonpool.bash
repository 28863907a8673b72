# bash completion for moonpool.

# Whether an expression of map stands before the word, or a -- that lets one begin.
_moonpool_has_expression() {
    local i word
    for ((i = 2; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -- || $word != -?* ]]; then
            return 0
        elif [[ $word == --resume && ${COMP_WORDS[i + 1]} == = ]]; then
            ((i += 2))
        elif [[ $word == --resume || $word =~ ^-[ukh]*[Fjle]$ ]]; then
            ((i++))
        fi
    done
    return 1
}

# Whether a script stands before the word, or a -- that lets one begin: what is behind is the script's.
_moonpool_has_script() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        map | journal | replay | top | help) ((i > 1)); return ;;
        -e | -l | -j) ((i++)) ;;
        - | -- | [!-]*) return 0 ;;
        esac
    done
    return 1
}

# The programs of this user that have pools now.
_moonpool_pids() {
    "${COMP_WORDS[0]}" top --once 2>/dev/null | sed -n 's/^pid \([0-9]*\) .*/\1/p' | sort -u
}

_moonpool() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words= files=yes
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ $command == map ]] && _moonpool_has_expression; then
        before=
    else
        [[ $command == map ]] && words='-F -j -l -e -u -k --json --progress --resume -h --help'
    fi
    if _moonpool_has_script; then
        command= before=
    fi
    case $before in
    -e | -l | -j | -F) return ;;
    --resume) words= ;;
    esac
    if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
        words='map journal replay top help'
    else
        case $command in
        map) ;;
        journal) words='--csv --jsonl -h --help' ;;
        top) words='--once --json -h --help' files= ;;
        help) words='-h --help' files= ;;
        '') ;;
        replay) ((COMP_CWORD == 2)) && words='-h --help' ;;
        *) words='-e -i -l -v -E -W -j' ;;
        esac
        if [[ $word != -* ]]; then
            words=
            [[ $command == top ]] && words=$(_moonpool_pids)
            [[ $command == help ]] && words='map journal replay top help'
        fi
        [[ $command == help ]] && ((COMP_CWORD > 2)) && words=
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [[ $word != -* && -n $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -F _moonpool moonpool
