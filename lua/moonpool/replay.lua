-- Running one recorded item of a journal again, in this process.
--
-- Whoever asks for it runs the script; the call that has the journal does nothing but this item and
-- does not return.

local core, require = ...

local identity = require "moonpool.identity"
local iterable = require "moonpool.iterable"
local journal = require "moonpool.journal"
local share = require "moonpool.share"
local task = require "moonpool.task"

local replay = {}

local asked -- {path, index, begun, ended, pid}

--- The call that has the journal at `path` is to run its item `index` alone. begun(item) hears what
--- is about to run, ended(ok, ...) what it came to: its values, or what was raised and the traceback;
--- refused(message) why nothing can run. The last two do not return.
function replay.ask(path, index, begun, ended, refused)
  asked = { path = path, index = index, begun = begun, ended = ended, refused = refused, pid = core.pid() }
end

local function path_of(option)
  return type(option) == "table" and (option.path or option[1]) or option
end

--- Whether the option names the journal that was asked for.
function replay.wants(option)
  local path = asked and path_of(option)
  return type(path) == "string" and asked.pid == core.pid() and core.same_file(path, asked.path)
end

-- ---- what stands in the journal ----

-- The item's last outcome, the state it has saved behind that, and its run's head.
local function read()
  local outcome, state
  local heads = journal.read(asked.path, function(record)
    if record.item ~= asked.index then
      return
    elseif record.state ~= nil then
      state = record.state
    else
      outcome, state = record, nil
    end
  end)
  for _, head in ipairs(heads) do
    if outcome and head.run == outcome.run then
      return outcome, state, head
    end
  end
  return outcome, state, heads[#heads] or {}
end

-- ---- the item ----

local function all_values(source)
  return function()
    local values = table.pack(source())
    if values[1] ~= nil then
      return values
    end
  end
end

-- The values that the item's function gets, packed; nil where the input has no such item.
local function arguments(call_name, source, star)
  if star and type(source) == "function" then
    source = all_values(source)
  end
  for i, value in iterable.items(call_name, source) do
    if i == asked.index then
      return star and type(value) == "table" and table.pack(table.unpack(value, 1, value.n or #value))
        or table.pack(value)
    end
  end
end

local function with_traceback(raised)
  return { raised, debug.traceback(tostring(raised), 2) }
end

local function run(f, args)
  local outcome, state, head = read()
  local item = {
    index = asked.index,
    args = args,
    seed = head.seed or 0,
    attempt = outcome and outcome.attempt or 1,
    recorded = outcome ~= nil,
    same = outcome == nil or outcome.args == core.item_digest(identity.of, table.unpack(args, 1, args.n)),
    error = outcome and outcome.error or nil,
  }
  asked.begun(item)
  task.pretend(item.index, item.attempt, item.seed, state)
  math.randomseed(item.seed, item.index)
  local values = table.pack(xpcall(share.held(f), with_traceback, table.unpack(args, 1, args.n)))
  if values[1] then
    asked.ended(table.unpack(values, 1, values.n))
  end
  asked.ended(false, values[2][1], values[2][2])
end

-- What goes wrong here is not for the script to catch.
local function give_up(err)
  asked.refused(tostring(err))
end

--- The item of a call over an input.
function replay.item(call_name, f, source, star)
  local ok, args = pcall(arguments, call_name, source, star)
  if not ok then
    give_up(args)
  elseif not args then
    give_up(("%s has no item %d"):format(call_name, asked.index))
  end
  run(f, args)
end

--- The one item of an apply form.
function replay.apply(f, args)
  args = args or {}
  if asked.index ~= 1 then
    give_up(("apply has no item %d"):format(asked.index))
  end
  run(f, table.pack(table.unpack(args, 1, args.n or #args)))
end

return replay
