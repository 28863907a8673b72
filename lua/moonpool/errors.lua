-- Moonpool's error objects: tables with kind and message, readable by tostring.
--
-- Made here and in C (src/lua/state.c) with the one metatable `core.error_meta()`.

local core, require = ...

local kinds = require "moonpool.kinds"

local Error = core.error_meta()
local errors = {}

local ARGUMENT_WIDTH = 60

-- A value as it stands in an error's text, cut to a readable length.
local function brief(value)
  local text = type(value) == "string" and string.format("%q", value) or tostring(value)
  text = text:gsub("\\?\n", "\\n")
  return #text > ARGUMENT_WIDTH and text:sub(1, ARGUMENT_WIDTH - 3) .. "..." or text
end

local function item_line(err)
  local args = {}
  for i = 1, err.args and err.args.n or 0 do
    args[i] = brief(err.args[i])
  end
  local text = ("in item %d"):format(err.index)
  if err.args then
    text = ("%s (%s)"):format(text, table.concat(args, ", "))
  end
  if err.worker then
    text = ("%s, %s"):format(text, err.worker)
  end
  if err.pid then
    text = ("%s, pid %d"):format(text, err.pid)
  end
  return err.attempt and ("%s, attempt %d"):format(text, err.attempt) or text
end

-- Both places: what happened in the worker, and where the script called.
function Error.__tostring(err)
  local lines = { tostring(err.message) }
  if err.index then
    lines[#lines + 1] = item_line(err)
  end
  if err.traceback and err.traceback ~= "" then
    lines[#lines + 1] = err.traceback
  end
  if err.called_from then
    lines[#lines + 1] = "called from " .. err.called_from
  end
  return table.concat(lines, "\n")
end

function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end

Error.__name = "Error"
kinds.note(Error, "Error")

--- Whether it can be called.
function errors.is_callable(f)
  local meta = type(f) ~= "function" and getmetatable(f)
  return type(f) == "function" or type(meta) == "table" and meta.__call ~= nil
end

--- A new error object. `fields` (may be nil) becomes the object.
function errors.new(kind, message, fields)
  local err = fields or {}
  err.kind, err.message = kind, message
  return setmetatable(err, Error)
end

--- Raises a new error that says where the script called.
function errors.raise(kind, message, fields)
  local err = errors.new(kind, message, fields)
  err.called_from = core.where()
  error(err, 0)
end

--- Raises an error object that exists already; the first place it is raised at stays.
function errors.throw(err)
  if errors.is(err) and err.called_from == nil then
    err.called_from = core.where()
  end
  error(err, 0)
end

--- Raises an error object that is kept and may have been raised before, by another call: the place is
--- this one's.
function errors.throw_kept(err)
  if errors.is(err) then
    err.called_from = core.where() or err.called_from
  end
  error(err, 0)
end

function errors.is(value)
  return getmetatable(value) == Error
end

--- Whether it is what a Ctrl-C raises, in lua.c and in moonpool: it stops the script
--- and is nobody's failure.
function errors.is_interrupt(value)
  return value == "interrupted!"
    or type(value) == "string" and value:find(":%d+: interrupted!$") ~= nil
end

--- The integer that a number is where one is wanted, as Lua takes it: 2.0 is 2; nil for any other value.
function errors.whole(value)
  return math.type(value) and math.tointeger(value) or nil
end

--- How a value is named where another was expected.
function errors.describe(value)
  local meta = getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  if type(name) == "string" then
    return name
  end
  if type(value) == "string" or type(value) == "number" then
    return ("%s %s"):format(type(value), brief(value))
  end
  return type(value)
end

--- Raises "argument" unless `object` is one of that class: its method was called with a dot.
function errors.check_self(object, class, name, variable)
  if getmetatable(object) ~= class then
    errors.raise("argument", ("%s: called without its %s; write %s:%s(...) with a colon"):format(name,
      variable, variable, name))
  end
end

--- Raises "argument": which, what was expected, what came.
function errors.argument(call, which, expected, got)
  errors.raise("argument", ("%s: %s must be %s, got %s"):format(call, which, expected,
    errors.describe(got)))
end

return errors
