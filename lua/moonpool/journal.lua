-- The option journal: results of a call in a file as they come, taken from there when the same
-- call is made again.
--
-- The file is a CBOR sequence (src/journal/record.h says how a record stands in it). Each run that
-- adds something begins with a head:
--
--     format    "moonpool journal 1"
--     run       its number, from 1; records of its items name it
--     function  digest of the function and all that it refers to, in hexadecimal
--     parts     list of [name, digest], by which a change is named
--     version   the option's, or null
--     seed      of the call; pool_seed: of its pool, where that was given one
--     values    "first" or "all": what of each result is kept
--     call, source, options, time, pid, host, moonpool
--
-- Invariants: a result is taken only where function, seed and item are the same; what is taken in
-- is written before its call's result is given; a file that cannot be written to is tried again,
-- and in the end is an error of its call.

local core, require = ...

local errors = require "moonpool.errors"
local identity = require "moonpool.identity"
local options = require "moonpool.options"
local share = require "moonpool.share"

local journal = {}

local FORMAT <const> = "moonpool journal 1"
local SYNC_EVERY <const> = 0.2 -- seconds between two waits for the disk
local REST <const> = 0.01      -- seconds between two times that results are taken in

-- ---- the option ----

local FIELDS = { path = true, on_change = true, match = true, sync = true, version = true }

local CHOICES = {
  on_change = { error = true, keep = true, redo = true },
  match = { item = true, arguments = true },
  sync = { group = true, each = true },
}

local function check_choice(call_name, name, value)
  if value ~= nil and not CHOICES[name][value] then
    local words = {}
    for word in pairs(CHOICES[name]) do
      words[#words + 1] = ("%q"):format(word)
    end
    table.sort(words)
    errors.argument(call_name, "the journal's " .. name, table.concat(words, " or "), value)
  end
end

--- The option's table form; raises "argument" unless it is as it should be.
function journal.check(call_name, given)
  if type(given) == "string" then
    given = { path = given }
  elseif type(given) ~= "table" then
    errors.argument(call_name, "journal", "a path or a table", given)
  end
  local chosen = {}
  for name, value in pairs(given) do
    chosen[name == 1 and "path" or name] = value
  end
  options.check_names(call_name, chosen, FIELDS, "field of journal")
  if type(chosen.path) ~= "string" or chosen.path == "" or chosen.path:find("\0", 1, true) then
    errors.argument(call_name, "the journal's path", "the path of a file", chosen.path)
  end
  for name in pairs(CHOICES) do
    check_choice(call_name, name, chosen[name])
  end
  if chosen.version ~= nil and type(chosen.version) ~= "string" and type(chosen.version) ~= "number" then
    errors.argument(call_name, "the journal's version", "a string", chosen.version)
  end
  return chosen
end

-- ---- what has changed ----

--- A digest in hexadecimal.
function journal.hex(digest)
  return ("%02x"):rep(#digest):format(digest:byte(1, -1))
end

local hex = journal.hex

local function digest_of(f, version)
  local digest = identity.of(share.held(f))
  return hex(version == nil and digest or core.digest(digest .. tostring(version)))
end

local function parts_of(f, version)
  local parts = identity.parts_of(share.held(f))
  for _, part in ipairs(parts) do
    part[2] = hex(part[2])
  end
  if version ~= nil then
    parts[#parts + 1] = { "the version", hex(core.digest(tostring(version))) }
  end
  return parts
end

local function by_name(parts)
  local digests, names = {}, {}
  for _, part in ipairs(type(parts) == "table" and parts or {}) do
    local name = tostring(part[1])
    if not digests[name] then
      names[#names + 1] = name
    end
    digests[name] = (digests[name] or "") .. tostring(part[2])
  end
  return digests, names
end

local function changes(old, new)
  local before, names = by_name(old)
  local now, more = by_name(new)
  local changed = {}
  for _, name in ipairs(more) do
    if before[name] ~= now[name] then
      changed[#changed + 1] = name
    end
  end
  for _, name in ipairs(names) do
    if now[name] == nil then
      changed[#changed + 1] = name
    end
  end
  return changed
end

local function raise_changed(record, call_name, last)
  local changed = changes(last.parts, record.parts)
  if #changed == 0 then
    changed[1] = "what the function's values share"
  end
  errors.raise("state", ("%s: the journal %s was written by another function: %s changed; "
    .. 'write journal = {path, on_change = "keep"} to use its results, "redo" to compute them anew'):format(
    call_name, record.path, table.concat(changed, ", ")), { changed = changed })
end

-- ---- reading ----

--- What stands in the file: its heads, and what of it belongs to no record (bytes). take(record) is
--- called with each record of an item, in the order of the file.
function journal.read(path, take)
  local file = core.journal_open(path, false)
  local heads, i = core.journal_heads(file), 1
  local record = core.journal_record(file, i)
  while record ~= nil do
    if record then -- else it cannot be read any more
      take(record)
    end
    i = i + 1
    record = core.journal_record(file, i)
  end
  local damaged = core.journal_damaged(file)
  core.journal_close(file)
  return heads, damaged
end

-- ---- opening ----

-- The seed of the call: its own, else that of the first run, unless the pool's was changed.
local function choose_seed(pool, given, heads)
  if given.seed then
    return given.seed
  end
  local first = heads[1]
  local same = first and (pool.given_seed == nil or pool.given_seed == first.pool_seed)
  return same and math.type(first.seed) == "integer" and first.seed or core.next_seed(pool.core)
end

local function valid_runs(record, heads)
  local valid = {}
  for _, head in ipairs(heads) do
    if math.type(head.run) == "integer" and head.seed == record.seed
      and (head.values == "all" or record.values == "first")
      and (record.on_change == "keep" or head["function"] == record.digest) then
      valid[head.run] = true
    end
  end
  return valid
end

local function number_of_runs(heads, last)
  for _, head in ipairs(heads) do
    if math.type(head.run) == "integer" and head.run > last then
      last = head.run
    end
  end
  return last
end

local TOLD = { "chunksize", "retries", "retry_delay", "timeout", "on_error", "pack", "duplicate" }

local function told_options(given)
  local told = {}
  for _, name in ipairs(TOLD) do
    told[name] = given[name]
  end
  return told
end

local function source_of(f)
  local info = type(f) == "function" and debug.getinfo(f, "S")
  return info and ("%s:%d"):format(info.short_src, info.linedefined) or "?"
end

local function head_entries(record, pool, call_name, f, given)
  return {
    "format", FORMAT,
    "run", record.run,
    "function", record.digest,
    "parts", record.parts,
    "version", record.version,
    "seed", record.seed,
    "pool_seed", pool.given_seed,
    "match", record.match or "item",
    "values", record.values,
    "call", call_name,
    "source", source_of(share.held(f)),
    "options", told_options(given),
    "time", core.time(),
    "pid", core.pid(),
    "host", core.host_name(),
    "moonpool", core.version,
    n = 32,
  }
end

local function consult(record, pool, call_name, f, given)
  local heads, last_run = core.journal_heads(record.core)
  local last = heads[#heads]
  record.digest = digest_of(f, record.version)
  local same = last ~= nil and last["function"] == record.digest
  record.parts = same and last.parts or parts_of(f, record.version)
  record.seed = choose_seed(pool, given, heads)
  if last and not same and (record.on_change or "error") == "error" then
    raise_changed(record, call_name, last)
  end
  record.run = number_of_runs(heads, last_run) + 1
  core.journal_use(record.core, record.match == "arguments", valid_runs(record, heads))
  core.journal_run(record.core, record.run, head_entries(record, pool, call_name, f, given),
    record.sync == "each", identity.of)
end

--- Opens the journal of a call that is about to be made, which keeps the first value of each result
--- only, or all. Its field core is for core.call, seed the call's. Raises "state" where another
--- function has written it, or somebody writes to it.
function journal.open(pool, call_name, f, given, first_values)
  local record = journal.check(call_name, given.journal)
  if pool.journals then
    journal.tend(pool) -- one that nobody has any more may be the same
  end
  record.values = first_values and "first" or "all"
  record.core = core.journal_open(record.path, true)
  local ok, err = pcall(consult, record, pool, call_name, f, given)
  if not ok then
    core.journal_close(record.core)
    errors.throw(err)
  end
  return record
end

--- The call of `holder`, its AsyncResult or iterator, is made.
function journal.watch(pool, holder, record)
  holder.journal = record
  record.holder = holder
  pool.journals = pool.journals or {}
  table.insert(pool.journals, record)
end

-- ---- writing ----

local function complain(record, text)
  if not record.complained then
    record.complained = true
    warn(("moonpool: the journal %s: %s; trying again"):format(record.path, text))
  end
end

-- To the kernel, and from there to the disk when it is time, or `at_once`: nil, the error's text
-- and number where that fails.
local function write(record, at_once)
  record.late_at = core.journal_late(record.core)
  local _, added, waiting = core.journal_counts(record.core)
  if waiting > 0 or added ~= record.synced then
    local now = core.monotonic()
    local ok, text, errno = core.journal_write(record.core)
    if not ok then
      return nil, text, errno
    end
    if at_once or now >= (record.sync_at or 0) then
      record.sync_at = now + SYNC_EVERY
      ok, text, errno = core.journal_sync(record.core)
      if not ok then
        return nil, text, errno
      end
      record.synced = added
    end
  end
  return true
end

local function drop(pool, record)
  for i, one in ipairs(pool.journals or {}) do
    if one == record then
      table.remove(pool.journals, i)
      break
    end
  end
  if pool.journals and #pool.journals == 0 then
    pool.journals = nil
  end
end

-- An AsyncResult raises it, with what was computed; an iterator at its end, or nobody hears of it.
local function fail(holder, err)
  if holder.shape == "map" then
    err.results = core.values(holder.call)
  elseif holder.shape == "apply" then
    err.results = table.pack(core.values(holder.call))
  elseif holder.left then
    warn("moonpool: ", err.message)
  end
  if holder.shape == "map" or holder.shape == "apply" then
    holder.error = holder.error or err
  else
    holder.input_error = holder.input_error or { err }
  end
end

--- The call is over: what it added is on the disk, and somebody else may write to the file. What
--- could not be written becomes the holder's error.
function journal.finish(pool, record)
  if record.closed then
    return
  end
  record.closed = true
  drop(pool, record)
  local ok, text, errno = write(record, true)
  core.journal_close(record.core)
  if not ok then
    fail(record.holder, errors.new("system",
      ("the journal %s lacks results: %s"):format(record.path, text), { errno = errno }))
  end
end

--- Behind results that were taken in: writes them, and closes what is over.
function journal.tend(pool)
  for i = #pool.journals, 1, -1 do
    local record = pool.journals[i]
    if record.holder.done or core.over(record.holder.call) then
      journal.finish(pool, record)
    else
      local ok, text = write(record, false)
      if not ok then
        complain(record, text)
      end
    end
  end
end

--- Closes all, without a word: the pool ends.
function journal.finish_all(pool)
  while pool.journals do
    journal.finish(pool, pool.journals[1])
  end
end

-- ---- waiting ----

-- When the disk is to be looked at, or something to be written, the next time.
local function next_sync(pool)
  local due
  for _, record in ipairs(pool.journals) do
    local _, added = core.journal_counts(record.core)
    if added ~= record.synced then
      due = math.min(due or math.huge, record.sync_at or 0)
    end
    if record.late_at then
      due = math.min(due or math.huge, record.late_at)
    end
  end
  return due
end

local function sooner(a, b)
  return a and b and math.min(a, b) or a or b
end

--- pump.pause of a pool whose results are to be written: wakes for the first one, then not more
--- often than every hundredth of a second, and when the disk is to be waited for.
function journal.pause(pool, deadline)
  local now = core.monotonic()
  if pool.rested_until and now < pool.rested_until then
    return core.wait(pool.core, sooner(deadline, pool.rested_until), true)
  end
  local came = core.wait(pool.core, sooner(deadline, next_sync(pool)), false)
  pool.rested_until = core.monotonic() + REST
  return came
end

return journal
