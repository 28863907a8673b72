-- What can be said at a prompt beside Lua: the functions that stand there as globals.

local core, require = ...

local athand = require "moonpool.athand"
local chunk = require "moonpool.repl_chunk"
local crew = require "moonpool.crew"
local errors = require "moonpool.errors"
local help = require "moonpool.help"
local inspect = require "moonpool.inspect"
local inspect_text = require "moonpool.inspect_text"
local kinds = require "moonpool.kinds"
local progress = require "moonpool.progress"
local pump = require "moonpool.pump"
local trace = require "moonpool.repl_errors"

local words = {}

local session -- whose words these are

--- From now on they speak of that prompt; nil: of none.
function words.attach(to)
  session = to
end

local function jobs_of(name)
  if not session then
    errors.raise("state", name .. ": this is for a prompt")
  end
  return session.jobs
end

local given = {}

--- jobs(): all of them, to be read.
function given.jobs()
  return jobs_of("jobs"):list()
end

--- job(n): that job, with the methods of its AsyncResult.
function given.job(n)
  return jobs_of("job"):find("job", n)
end

--- cancel(n): takes the job back, or stops it: whether it was still to be stopped.
function given.cancel(n)
  return jobs_of("cancel"):find("cancel", n).result:cancel()
end

--- fg(n): waits for it under a bar, and gives its result; Ctrl-C leaves it running.
function given.fg(n)
  local job = jobs_of("fg"):find("fg", n)
  local result = job.result
  local pool = result.pool
  if not result.done then
    progress.watch(pool, "fg", result, { progress = ("[%d] %s"):format(job.number, job:name()),
      began = job.began })
    local ok, err = pcall(result.wait, result)
    if not ok then
      progress.unwatch(pool, result)
      session.held = { pool, job.what, result }
      errors.throw(err)
    end
  end
  job.line = session.number
  return result:get()
end

--- wait([seconds]): until nothing is outstanding in any pool: true, else false.
function given.wait(timeout)
  local deadline = pump.deadline(timeout)
  for _, pool in ipairs(crew.open_pools()) do
    if not pool:wait(deadline and math.max(deadline - core.monotonic(), 0)) then
      return false
    end
  end
  return true
end

--- reload(name): as mp.reload.
function given.reload(name)
  return session.mp.reload(name)
end

given.timeit = athand.timeit

local Lines = kinds.class "Workers"

function Lines:__tostring()
  return #self > 0 and table.concat(self, "\n") or "no pools"
end

local function cut_off(line, columns)
  if core.columns(line) <= columns then
    return (core.fit(line, columns))
  end
  local mark = core.speaks_utf8() and "…" or "..."
  return core.fit(line, columns - core.columns(mark)) .. mark
end

local viewer -- of this process's pools

--- workers(): those of all pools and what they do, as `moonpool top` shows it, to be read; rates are
--- those since it was asked last.
function given.workers()
  viewer = viewer and viewer.pid == core.pid() and viewer or inspect.viewer(core.pid())
  local columns = session and session.reader.terminal and core.terminal_size() or math.maxinteger
  local lines = setmetatable(inspect_text.lines(viewer:look(true) or { pools = {}, problems = {} }), Lines)
  for i, line in ipairs(lines) do
    lines[i] = cut_off(line, columns)
  end
  return lines
end

--- where(pid [, timeout]): the Lua stack of that worker, which goes on; nil and why not, where it has
--- not answered within so many seconds.
function given.where(pid, timeout)
  local stack, why = inspect.where(pid, timeout)
  if stack then
    return setmetatable({ session and trace.with_lines(stack, session.typed) or stack }, Lines)
  end
  return nil, why
end

--- help(what): its signature and what it does.
function given.help(...)
  return help.about(session and session.mp, session and chunk.values(session.scope) or {}, ...)
end

words.given = given

--- Sets them as globals, where those are free; returns a function that takes them away.
function words.install()
  local set = {}
  for name, f in pairs(given) do
    if rawget(_G, name) == nil then
      rawset(_G, name, f)
      set[name] = f
    end
  end
  return function()
    for name, f in pairs(set) do
      if rawget(_G, name) == f then
        rawset(_G, name, nil)
      end
    end
  end
end

return words
