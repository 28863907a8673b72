-- Damages a pool's shared memory under its feet: its regions are memfds, which /proc shows. For
-- scripts under test; see spec/faults/damage_spec.lua.
local lfs = require "lfs"
local mp = require "moonpool"

local damage = {}

--- The path of this process's memfd of that name, of which there is one.
function damage.region(name)
  for fd in lfs.dir("/proc/self/fd") do
    local path = "/proc/self/fd/" .. fd
    local target = lfs.symlinkattributes(path, "target") or ""
    if target:find("memfd:" .. name .. " ", 1, true) then return path end
  end
  error("there is no region " .. name)
end

--- Where the slots of the task ring begin, as the map in the control segment says.
function damage.slots()
  return (string.unpack("=I8", damage.bytes(damage.region "moonpool", 24, 8)))
end

--- What the region holds at [at, at + n).
function damage.bytes(path, at, n)
  local file <close> = assert(io.open(path, "rb"))
  file:seek("set", at)
  return file:read(n)
end

--- Turns the bits of the byte at `at` that are set in `mask`.
function damage.flip(path, at, mask)
  local file <close> = assert(io.open(path, "r+b"))
  file:seek("set", at)
  local byte = file:read(1):byte()
  file:seek("set", at)
  file:write(string.char(byte ~ mask))
end

--- Where bytes other than 0 lie in [first, first + n) of the region, and those beside them, as a
--- list of offsets; all of them, if `every`.
function damage.used(path, first, n, every)
  local bytes, list = damage.bytes(path, first, n), {}
  for i = 1, #bytes do
    if every or bytes:sub(math.max(i - 3, 1), i + 3):find("[^\0]") then list[#list + 1] = first + i - 1 end
  end
  return list
end

local function fate(result, err, i)
  if err then return err.kind end
  if type(result) ~= "table" or result[1] ~= i or result[2] ~= "value " .. i then return "other" end
  return "right"
end

-- What is noticed only now may still cost the item that is asked for.
local function works(pool)
  local ok, three = pcall(pool.apply, pool, math.abs, { -3 })
  return ok and three == 3
end

--- Has three items done by the one worker of a new pool; tamper(pool, submit) calls submit()
--- when they are to be handed out, and damages what it likes before or behind that. Gives how
--- each item fared, as a text: "right", the kind of its error, or "other" for another value;
--- and "in-vain" behind it if the pool does not work any more. `again`: each item saves what it
--- returns, and fails once.
function damage.fates(tamper, again)
  local pool = mp.Pool(1)
  local word = "value "
  local function simple(i) return { i, word .. i } end
  local function twice(i)
    local task = mp.task()
    if task.attempt > 1 then return task:saved() end
    task:save { i, word .. i }
    error "again"
  end
  pool:apply(math.abs, { 1 })
  local r
  tamper(pool, function()
    r = pool:map_async(again and twice or simple, mp.range(3),
      { chunksize = 1, on_error = "collect", retries = again and 1 or 0 })
  end)
  local results = r:get(20)
  local fates = {}
  for i = 1, 3 do fates[i] = fate(results[i], results.errors and results.errors[i], i) end
  if not works(pool) and not works(pool) then fates[4] = "in-vain" end
  pool:terminate()
  pool:join()
  return table.concat(fates, " ")
end

--- Counts what fates came, and prints them sorted: for the script that is to know which may.
function damage.report(counts)
  local kinds = {}
  for kind, n in pairs(counts) do kinds[#kinds + 1] = ("%s (%d)"):format(kind, n) end
  table.sort(kinds)
  print(table.concat(kinds, "; "))
end

return damage
