-- Which values are the same in two runs of a script, by digests: of an item's arguments, and of a
-- function with all that it refers to.
--
-- Invariants: a digest depends on neither the order of `pairs`, nor on lines, source or names of
-- variables; what goes by name (loaded modules and what hangs on them) counts by its name; no depth
-- of tables is too deep. A value becomes a text of tokens, each with its length or of a fixed one,
-- so that no two values give the same.

local core, require = ...

local kinds = require "moonpool.kinds"

local identity = {}

local FLUSH = 4096 -- tokens between two digests

local PLAIN = { number = true, string = true, boolean = true }

-- ---- tokens ----

local Walk = {}
Walk.__index = Walk

-- `parts`: functions that have digests of their own elsewhere, by which they count here. `of_key`:
-- it is the key of a table.
local function new_walk(parts, of_key)
  return setmetatable({ tokens = {}, n = 0, seen = {}, count = 0, cells = {}, cell_count = 0,
    stack = {}, depth = 0, parts = parts or {}, of_key = of_key, so_far = "" }, Walk)
end

local function digest_of(parts, value, of_key)
  local walk = new_walk(parts, of_key)
  walk:enter({ value }, 1)
  walk:run()
  return walk:digest()
end

function Walk:put(token)
  self.n = self.n + 1
  self.tokens[self.n] = token
  if self.n >= FLUSH then
    self.so_far = core.digest(self.so_far .. table.concat(self.tokens, "", 1, self.n))
    self.n = 0
  end
end

function Walk:digest()
  return core.digest(self.so_far .. table.concat(self.tokens, "", 1, self.n))
end

-- What goes by name counts by that.
function Walk:named(name)
  self:put(string.pack("<c1s8", "N", name))
end

-- A list whose values come next, before what is left of the others.
function Walk:enter(list, n)
  self.depth = self.depth + 1
  self.stack[self.depth] = { list = list, n = n, at = 0 }
end

-- True if it was met before; the digest says where.
function Walk:met(value)
  local number = self.seen[value]
  if number then
    self:put(string.pack("<c1j", "R", number))
    return true
  end
  self.count = self.count + 1
  self.seen[value] = self.count
  return false
end

-- ---- tables ----

local function by_digest(a, b)
  return a.digest < b.digest
end

-- Keys that are tables or functions go by what they are and by what stands there. Within such a key
-- they may hold one another: there only values that are scalars tell them apart.
local function digest_of_entry(walk, key, value)
  if not walk.of_key then
    return digest_of(walk.parts, key, true) .. digest_of(walk.parts, value, true)
  end
  return PLAIN[type(value)] and digest_of(nil, value, true) or ""
end

local function append_others(walk, t, keys, others)
  for i, key in ipairs(others) do
    others[i] = { key = key, digest = digest_of_entry(walk, key, rawget(t, key)) }
  end
  table.sort(others, by_digest)
  for _, other in ipairs(others) do
    if walk.of_key then
      walk:put(string.pack("<c1s8", "K", other.digest))
    else
      keys[#keys + 1] = other.key
    end
  end
end

local function sorted_keys(walk, t)
  local keys, others = core.sorted_keys(t)
  if #others > 0 then
    append_others(walk, t, keys, others)
  end
  return keys
end

local function put_content(walk, t)
  local flat = core.digest_of_numbers(t) or core.digest_of_flat(t)
  if flat then
    walk:put("B" .. flat)
    return
  end
  local keys = sorted_keys(walk, t)
  local list, n = {}, #keys
  for i, key in ipairs(keys) do
    list[2 * i - 1], list[2 * i] = key, rawget(t, key)
  end
  walk:put(string.pack("<c1j", "T", n))
  walk:enter(list, 2 * n)
end

local function put_metatable(walk, meta)
  local name = core.name_of_metatable(meta)
  walk:put("M")
  if name then
    walk:named(name)
  else
    walk:enter({ meta }, 1)
  end
end

-- What its __reduce gives. Moonpool's own objects count by their class, as these are new in each
-- run; what is shared counts by its content.
local function put_object(walk, value, reduce)
  local class = kinds.of(value)
  if class == "Shared" then
    walk:put("S")
    walk:enter({ value:get() }, 1)
  elseif class then
    walk:put(string.pack("<c1s8", "O", class))
  else
    local given = table.pack(reduce(value))
    walk:put(string.pack("<c1j", "Q", given.n))
    walk:enter(given, given.n)
  end
end

local function reduce_of(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__reduce") or nil
end

local function put_table(walk, t)
  local name = core.name_of(t)
  if name then
    walk:named(name)
  elseif not walk:met(t) then
    local meta = debug.getmetatable(t)
    local reduce = meta and reduce_of(t)
    if kinds.of(t) or reduce then
      put_object(walk, t, reduce)
      return
    end
    put_content(walk, t)
    if type(meta) == "table" then
      put_metatable(walk, meta)
    end
  end
end

-- ---- functions ----

-- Which upvalues a function shares with those before it, and the values of the others; then the
-- globals that it names.
local function put_references(walk, values, cells, globals)
  local list, n = {}, 0
  for i = 1, values.n do
    local number = walk.cells[cells[i]]
    if not number then
      number = walk.cell_count + 1
      walk.cells[cells[i]], walk.cell_count = number, number
      n = n + 1
      list[n] = values[i]
    end
    walk:put(string.pack("<j", number))
  end
  table.sort(globals)
  for _, global in ipairs(globals) do
    list[n + 1], list[n + 2] = global, rawget(_G, global)
    n = n + 2
  end
  walk:put(string.pack("<jj", values.n, n))
  walk:enter(list, n)
end

local function put_function(walk, f)
  local name = core.name_of(f)
  local part = walk.parts[f]
  if name then
    walk:named(name)
  elseif part then
    walk:put("P" .. part)
  elseif not walk:met(f) then
    local code, constants, _, values, cells, globals = core.function_parts(f)
    walk:put("F" .. (code or "") .. (constants or ""))
    if code then
      put_references(walk, values, cells, globals)
    end
  end
end

-- What cannot travel counts by its type: a function in hand may refer to it.
local function put_userdata(walk, value)
  local name = type(value) == "userdata" and core.name_of(value)
  local reduce = type(value) == "userdata" and reduce_of(value)
  if name then
    walk:named(name)
  elseif kinds.of(value) or reduce then
    if not walk:met(value) then
      put_object(walk, value, reduce)
    end
  else
    walk:put(string.pack("<c1s8", "U", type(value)))
  end
end

local PUT = {
  ["nil"] = function(walk) walk:put("n") end,
  boolean = function(walk, value) walk:put(value and "t" or "f") end,
  number = function(walk, value)
    walk:put(string.pack(math.type(value) == "integer" and "<c1j" or "<c1n",
      math.type(value) == "integer" and "i" or "d", value))
  end,
  string = function(walk, value) walk:put(string.pack("<c1s8", "s", value)) end,
  table = put_table,
  ["function"] = put_function,
  userdata = put_userdata,
  thread = put_userdata,
}

function Walk:run()
  while self.depth > 0 do
    local frame = self.stack[self.depth]
    if frame.at == frame.n then
      self.stack[self.depth] = nil
      self.depth = self.depth - 1
    else
      frame.at = frame.at + 1
      local value = frame.list[frame.at]
      PUT[type(value)](self, value)
    end
  end
end

--- 16 bytes that stand for the values.
function identity.of(...)
  local walk = new_walk()
  walk:enter({ ... }, select("#", ...))
  walk:run()
  return walk:digest()
end

-- ---- a function and its parts ----

local MOST_FIELDS = 100 -- of a table whose fields are told apart

-- A table of options, say: its fields are parts, so that what has changed can be named.
local function has_fields(value)
  if type(value) ~= "table" or debug.getmetatable(value) or core.name_of(value) then
    return false
  end
  local n = 0
  for key in next, value do
    n = n + 1
    if type(key) ~= "string" or n > MOST_FIELDS then
      return false
    end
  end
  return n > 0
end

local function add(found, name, digest)
  found[#found + 1] = { name, digest }
end

local function is_own(value)
  return type(value) == "function" and debug.getinfo(value, "S").what ~= "C" and not core.name_of(value)
end

local function collect_value(found, name, value)
  if is_own(value) then
    return -- has parts of its own
  elseif has_fields(value) then
    local keys = core.sorted_keys(value)
    for _, key in ipairs(keys) do
      add(found, ("%s.%s"):format(name, key), digest_of(found.functions, value[key]))
    end
    add(found, "the fields of " .. name, identity.of(keys))
  else
    add(found, name, digest_of(found.functions, value))
  end
end

-- Looks for all functions that are reached by upvalues and globals alone.
local function find_functions(order, functions, name, f)
  if functions[f] then
    return
  end
  local code, constants, names, values, _, globals = core.function_parts(f)
  table.sort(globals)
  functions[f] = code .. constants
  order[#order + 1] = { name = name, code = code, constants = constants, names = names,
    values = values, globals = globals }
  for i = 1, values.n do
    if is_own(values[i]) then
      find_functions(order, functions, names[i], values[i])
    end
  end
  for _, global in ipairs(globals) do
    if is_own(rawget(_G, global)) then
      find_functions(order, functions, global, rawget(_G, global))
    end
  end
end

local function collect_function(found, one, met)
  local of = one.name and " of " .. one.name or ""
  local name = one.name or "the function"
  add(found, "the code of " .. name, one.code)
  add(found, "a constant of " .. name, one.constants)
  for i = 1, one.values.n do
    collect_value(found, ("the upvalue %s%s"):format(one.names[i] or i, of), one.values[i])
  end
  for _, global in ipairs(one.globals) do
    if not met[global] then
      met[global] = true
      collect_value(found, "the global " .. global, rawget(_G, global))
    end
  end
end

--- What a function's results depend on, as a list of {name, digest}, by which a change can be named.
--- Where identity.of tells two functions apart and these lists do not, it is by which values they
--- share.
function identity.parts_of(f)
  local found, order, met = { functions = {} }, {}, {}
  if not is_own(f) then
    return { { "the function", identity.of(f) } }
  end
  find_functions(order, found.functions, nil, f)
  for _, one in ipairs(order) do
    collect_function(found, one, met)
  end
  found.functions = nil
  return found
end

return identity
