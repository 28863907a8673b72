-- What a pool did and when, as a page to look at (pool:timeline) and as Trace Event JSON
-- (pool:trace).
--
-- The first of these calls has the pool record its items from there on (src/pool/record.c); the
-- files are written when it ends, and at once where something is recorded already. A file is
-- written whole or not at all.

local core, require = ...

local errors = require "moonpool.errors"
local page = require "moonpool.timeline_page"
local trace = require "moonpool.timeline_trace"

local timeline = {}

local WRITERS = { timeline = page.write, trace = trace.write }

local function system_error(name, path, message, errno)
  return errors.new("system", ("%s: cannot write %s: %s"):format(name, path,
    (message:gsub("^.-: ", "", 1))), { errno = errno })
end

-- What is asked of a file's functions, where it is refused, as an error.
local function checked(ask, ok, message, errno)
  if not ok then
    error(system_error(ask.name, ask.path, message, errno), 0)
  end
  return ok
end

local function beside(path)
  return ("%s.%d.tmp"):format(path, core.pid())
end

local function write_into(pool, ask, file, known)
  WRITERS[ask.name](pool, known, function(text)
    checked(ask, file:write(text))
  end)
  checked(ask, file:close())
  checked(ask, os.rename(beside(ask.path), ask.path))
end

local function write(pool, ask, known)
  local file = checked(ask, io.open(beside(ask.path), "wb"))
  local ok, err = pcall(write_into, pool, ask, file, known)
  if not ok then
    if io.type(file) == "file" then
      file:close()
    end
    os.remove(beside(ask.path))
    error(err, 0)
  end
end

-- A file that could not be written at the end is refused now.
local function try(ask)
  checked(ask, io.open(beside(ask.path), "ab")):close()
  os.remove(beside(ask.path))
end

local function note(pool, ask)
  pool.timelines = pool.timelines or {}
  for _, other in ipairs(pool.timelines) do
    if other.name == ask.name and other.path == ask.path then
      return
    end
  end
  table.insert(pool.timelines, ask)
end

local function ask_for(pool, name, path)
  if type(path) ~= "string" or path == "" then
    errors.argument(name, "the first argument", "the path of a file", path)
  end
  if pool.state ~= "joined" and not core.owns(pool.core) then
    errors.raise("closed",
      ("%s: this pool belongs to the process that made it; make one of your own here"):format(name))
  end
  local ask = { name = name, path = path }
  local ended = pool.state == "joined" or pool.state == "terminated"
  local ok, err
  if ended or (core.recorded(pool.core) or 0) > 0 or core.stats(pool.core).items > 0 then
    ok, err = pcall(write, pool, ask, {})
  else
    ok, err = pcall(try, ask)
  end
  if not ok then
    errors.throw(err)
  elseif not ended then
    core.record(pool.core)
    note(pool, ask)
  end
end

--- Writes the files that were asked for: the pool ends. The first error, or nil.
function timeline.finish(pool)
  local first
  local known = {}
  for _, ask in ipairs(pool.timelines or {}) do
    local ok, err = pcall(write, pool, ask, known)
    if not ok then
      first = first or err
    end
  end
  return first
end

--- Gives Pool its methods. `check_self(pool, name)` is pool.lua's.
function timeline.install(Pool, check_self)
  --- Draws what each worker does, and when, as a page of HTML at `path`: from here on, and
  --- written when the pool ends.
  function Pool:timeline(path)
    check_self(self, "timeline")
    ask_for(self, "timeline", path)
  end

  --- The same as Trace Event JSON, for Perfetto and the like.
  function Pool:trace(path)
    check_self(self, "trace")
    ask_for(self, "trace", path)
  end
end

return timeline
