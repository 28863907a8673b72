-- Runs a script as a user would, in a process of its own, so that it may be
-- killed, end the process, or hang without harm to the spec.
--
--   local r = script.run([[ print(mp.getpid()) ]])
--   r.code, r.signal (one of them nil), r.output, r.errors, r.pid
--
-- The script finds `mp` loaded, and `arg`. It leads a session of its own, so that
-- -pid names it and all its workers. Each is run as it stands, lines counted from
-- its first; what stands in front of it is put on that line.
local luassert = require "luassert"

local script = {}

script.PROGRAMS = { moonpool = os.getenv("MOONPOOL") or "moonpool", stock = "lua5.4" }

local FRAME = 'local mp = require "moonpool"; '

local function quoted(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

function script.read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function take(path)
  local text = script.read(path)
  os.remove(path)
  return text
end

local function written(source)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(FRAME, source)
  file:close()
  return path
end

--- The path of an empty file that the spec removes.
script.temporary = os.tmpname

--- Runs the source. `options`: program ("moonpool", or "stock" for lua5.4), args, under
--- (words in front of the program), input (a path, else none).
function script.run(source, options)
  options = options or {}
  local path, output, errors, pid = written(source), os.tmpname(), os.tmpname(), os.tmpname()
  local words = { quoted(script.PROGRAMS[options.program or "moonpool"]), quoted(path) }
  for _, word in ipairs(options.args or {}) do words[#words + 1] = quoted(word) end
  local command = ("echo $$ >%s; exec setsid %s %s <%s >%s 2>%s"):format(pid, options.under or "",
    table.concat(words, " "), options.input or "/dev/null", output, errors)
  local _, how, code = os.execute(command)
  os.remove(path)
  return { code = how == "exit" and code or nil, signal = how == "signal" and code or nil,
    output = take(output), errors = take(errors), pid = tonumber(take(pid)), path = path }
end

--- What a script that succeeds prints; an error with all that it said, if it does not.
function script.output(source, options)
  local r = script.run(source, options)
  if r.code ~= 0 or r.errors ~= "" then
    error(("ended with %s\n%s%s"):format(r.code or "signal " .. r.signal, r.output, r.errors), 2)
  end
  return r.output
end

--- Calls body(program) for moonpool and for stock lua5.4.
function script.each_program(body)
  for _, program in ipairs { "moonpool", "stock" } do body(program) end
end

-- The state letter of a process, nil when there is none of that pid.
local function state(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local stat = file and file:read("a")
  if file then file:close() end
  return stat and stat:match("^.*%) (%a)")
end

function script.alive(pid)
  local letter = state(pid)
  return letter ~= nil and letter ~= "Z" and letter ~= "X"
end

--- True when none of the processes lives; looks again for so many seconds.
function script.gone(pids, seconds)
  local mp = require "moonpool"
  local deadline = mp.monotonic() + seconds
  for _, pid in ipairs(pids) do
    while script.alive(pid) do
      if mp.monotonic() > deadline then return false end
      mp.sleep(0.01)
    end
  end
  return true
end

--- The processes of a session (what a script left of its own): a list of pids.
function script.session(leader)
  local pids = {}
  for entry in require "lfs".dir("/proc") do
    local file = entry:match("^%d+$") and io.open("/proc/" .. entry .. "/stat")
    local stat = file and file:read("a") or ""
    if file then file:close() end
    local letter, session = stat:match("^.*%) (%a) %d+ %d+ (%d+)")
    if session and tonumber(session) == leader and letter ~= "Z" and letter ~= "X" then
      pids[#pids + 1] = tonumber(entry)
    end
  end
  return pids
end

--- True when nothing of the script's session is left; looks again for some seconds, since what is
--- being killed may have forked just before.
function script.left_nothing(run)
  local mp = require "moonpool"
  local deadline = mp.monotonic() + 10
  while #script.session(run.pid) > 0 do
    if mp.monotonic() > deadline then return false end
    mp.sleep(0.01)
  end
  return true
end

--- A function says(expected, body): `tools` and the body are one script, which prints what is
--- expected and nothing else, ends well, and leaves nothing. `options` as for run.
function script.says(tools, options)
  return function(expected, body)
    local r = script.run(tools .. body, options)
    luassert.equal(expected, r.output, r.errors)
    luassert.equal("", r.errors)
    luassert.equal(0, r.code)
    luassert.is_true(script.left_nothing(r))
  end
end

return script
