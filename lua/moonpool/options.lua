-- The options of a call: the table form, and Python's positional one.

local _, require = ...

local errors = require "moonpool.errors"
local share = require "moonpool.share"

local options = {}

local KNOWN = {
  chunksize = true, callback = true, error_callback = true, on_error = true, seed = true,
  pack = true, retries = true, timeout = true,
  progress = true, total = true, duplicate = true, retry_delay = true, journal = true,
}

-- The edit distance of two words, for naming the nearest known option
-- (Wagner and Fischer, 1974).
local function distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

-- Other words for the same, of other tools.
local SYNONYMS = {
  workers = "processes", nprocs = "processes", n_jobs = "processes", jobs = "processes",
  cores = "processes", threads = "processes", args = "initargs", chunk = "chunksize",
  limit = "timeout", deadline = "timeout", retry = "retries", attempts = "retries",
  delay = "retry_delay", errors = "on_error", random = "seed", length = "total",
}

local function nearest(name, names)
  if names[SYNONYMS[name]] then
    return SYNONYMS[name]
  end
  local best, least
  for known in pairs(names) do
    local d = distance(name, known)
    if not least or d < least or (d == least and known < best) then
      best, least = known, d
    end
  end
  return best
end

local function check_function(call_name, which, value)
  if value ~= nil and not share.is_function(value) then
    errors.argument(call_name, which, "a function", value)
  end
end

--- Raises for a key of `given` that `names` does not have, naming the nearest.
function options.check_names(call_name, given, names, what)
  for name in pairs(given) do
    if not names[name] then
      errors.raise("argument", ("%s: unknown %s %s; did you mean %q?"):format(call_name, what,
        errors.describe(name), nearest(tostring(name), names)))
    end
  end
end

--- Raises unless what a pool may have as a default is as it should be.
function options.check_defaults(call_name, given)
  local on_error = given.on_error
  if on_error ~= nil and on_error ~= "raise" and on_error ~= "collect" then
    errors.argument(call_name, "on_error", '"raise" or "collect"', on_error)
  end
  local told = given.progress
  if told ~= nil and type(told) ~= "boolean" and type(told) ~= "string" and not share.is_function(told) then
    errors.argument(call_name, "progress", "true, false, a title, or a function of (done, total)", told)
  end
  local limit = given.timeout
  if limit ~= nil and (type(limit) ~= "number" or limit ~= limit or limit <= 0) then
    errors.argument(call_name, "timeout", "a number of seconds, more than 0", limit)
  end
  local retries, delay = given.retries, given.retry_delay
  if retries ~= nil and (errors.whole(retries) or -1) < 0 then
    errors.argument(call_name, "retries", "an integer, 0 or more", retries)
  end
  if delay ~= nil and (type(delay) ~= "number" or delay ~= delay or delay < 0) then
    errors.argument(call_name, "retry_delay", "a number of seconds, 0 or more", delay)
  end
  if given.seed ~= nil and math.type(given.seed) ~= "integer" then
    errors.argument(call_name, "seed", "an integer", given.seed)
  end
end

local function check(call_name, given)
  options.check_names(call_name, given, KNOWN, "option")
  options.check_defaults(call_name, given)
  local chunk = given.chunksize
  if chunk ~= nil and (math.type(chunk) ~= "integer" or chunk < 1) then
    errors.argument(call_name, "chunksize", "a positive integer", chunk)
  end
  if given.total ~= nil and (errors.whole(given.total) or -1) < 0 then
    errors.argument(call_name, "total", "an integer, 0 or more", given.total)
  end
  for _, name in ipairs { "pack", "duplicate" } do
    if given[name] ~= nil and type(given[name]) ~= "boolean" then
      errors.argument(call_name, name, "a boolean", given[name])
    end
  end
  check_function(call_name, "callback", given.callback)
  check_function(call_name, "error_callback", given.error_callback)
  return given
end

--- What says nothing.
local NONE = {}
options.NONE = NONE

--- The options of a map form: a chunksize or a table, then perhaps callbacks.
function options.of_map(call_name, given, callback, error_callback)
  if given == nil and callback == nil and error_callback == nil then
    return NONE
  end
  if type(given) == "table" then
    return check(call_name, given)
  end
  if given ~= nil and type(given) ~= "number" then
    errors.argument(call_name, "the third argument", "a chunksize or a table of options", given)
  end
  return check(call_name,
    { chunksize = given, callback = callback, error_callback = error_callback })
end

--- The options of apply and apply_async: a table, or a callback and perhaps another.
function options.of_apply(call_name, given, error_callback)
  if given == nil and error_callback == nil then
    return NONE
  end
  if type(given) == "table" then
    return check(call_name, given)
  end
  if given ~= nil and not share.is_function(given) then
    errors.argument(call_name, "the third argument", "a callback or a table of options", given)
  end
  return check(call_name, { callback = given, error_callback = error_callback })
end

return options
