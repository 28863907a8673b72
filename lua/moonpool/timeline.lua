-- What a pool did and when, as a page to look at (pool:timeline) and as Trace Event JSON
-- (pool:trace).
--
-- The first of these calls has the pool record its items from there on (src/pool/record.c); the
-- files are written when it ends, and at once where something is recorded already.

local core, require = ...

local errors = require "moonpool.errors"
local later = require "moonpool.later"

local page = later "moonpool.timeline_page"
local trace = later "moonpool.timeline_trace"

local timeline = {}

local WRITERS = { timeline = page, trace = trace }

-- Writes the file; `known` is as data.arguments takes it.
local function write(pool, ask, known)
  local parts = {}
  WRITERS[ask.name].write(pool, known, function(text)
    parts[#parts + 1] = text
  end)
  core.write_whole(ask.path, table.concat(parts))
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
    ok, err = pcall(core.write_whole, path) -- whether it can be in the end
  end
  if not ok then
    errors.throw(err)
  elseif not ended then
    core.record(pool.core)
    note(pool, ask)
  end
end

--- The pool's memory is about to go: what it alone has is kept.
function timeline.keep(pool)
  pool.spans = core.spans(pool.core)
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
