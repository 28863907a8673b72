-- moonpool help [SUBCOMMAND]: what there is, and what one of them takes.

local core = ...

local GENERAL <const> = [==[
Moonpool %s: Lua 5.4 with pools of worker processes

  moonpool [options] [script [args]]   run a script; without one, a prompt
  moonpool map EXPR [FILE...]          an expression for each line of files, in parallel
  moonpool journal FILE                what stands in a journal
  moonpool replay FILE INDEX SCRIPT    one item of a journal again
  moonpool top [PID]                   what the pools of running programs do
  moonpool help [SUBCOMMAND]           this, or more of one of them

Options of the first:
  -e stat   execute 'stat'             -i   a prompt behind the script
  -l mod    require 'mod'              -v   show the version
  -j n      n workers by default       -E   ignore environment variables
  -W        turn warnings on           -    run standard input

In a script:
  local mp = require "moonpool"
  local pool <close> = mp.Pool()
  for i, v in ipairs(pool:map(function(x) return x * x end, mp.range(10))) do print(i, v) end

More: man moonpool
]==]

local TEXTS <const> = {
  map = [[
moonpool map [options] EXPR [FILE...]

Evaluates EXPR for each line of the files (- or none: standard input), in parallel, and writes
its values in the order of the lines. EXPR is an expression, or code with 'return', of
  line      the line, without its end       n     its number, over all files
  f         the list of its fields          file  its file's path
Several values are joined by tabs, nil being empty; nil alone writes nothing.

  -F sep         what separates fields: a character, or a Lua pattern (default: runs of blanks)
  -j n           n workers (default: one a processor)
  -l mod         require 'mod' into global 'mod' in each worker; -l g=mod: into global 'g'
  -e stat        execute 'stat' in each worker first
  -u             write what is ready, in any order
  -k             go on behind lines that fail; they are told on standard error. Lines that were on their way
                 together with one that ends its worker are evaluated once more
  --json         lines are JSON, and so is what is written
  --progress     show how far it is
  --resume file  keep what is done in this journal, and take it from there the next time
  -h, --help     show this

  moonpool map 'f[1], #line' *.txt
  moonpool map -F, 'tonumber(f[3]) > 10 and line or nil' prices.csv
  moonpool map --json 'line.name' people.jsonl
]],
  journal = [[
moonpool journal [--csv | --jsonl] FILE

Sums up what calls with the option journal have written to FILE: how many items are done, which
have failed, how long they took. --csv and --jsonl give the last record of each item as rows.
]],
  replay = [[
moonpool replay FILE INDEX SCRIPT [ARGS]

Runs the script up to the call that has the journal FILE, and of that call the item INDEX alone,
in this process, with the arguments and random numbers that it had.

  -h, --help   show this
]],
  top = [[
moonpool top [--once | --json] [PID]

Shows what the pools of your running programs do, once a second: their workers, what each is at and
for how long. Items a second and processor time are those since the look before; with --once and
--json, since the worker began. Processor time is a share of one processor (in JSON, 1 is all of it).

  --once       show it once
  --json       show it once, as JSON
  -h, --help   show this
]],
  help = [[
moonpool help [SUBCOMMAND]

Shows what there is, or what a subcommand takes.
]],
}

local function put(text)
  local ok, why = io.stdout:write(text)
  if ok then
    ok, why = io.stdout:flush()
  end
  if not ok then
    io.stderr:write("moonpool help: cannot write: ", why, "\n")
  end
  return ok and true or false
end

return function(_, word, more)
  word = (word == "-h" or word == "--help") and "help" or word
  local text = not word and GENERAL:format(core.version) or TEXTS[word]
  if not text or more then
    io.stderr:write(more and "usage: moonpool help [SUBCOMMAND]\n"
      or ("moonpool help: there is no subcommand '%s'; moonpool help shows all\n"):format(word))
    return false
  end
  return put(text)
end
