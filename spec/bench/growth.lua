-- What an item costs as one thing grows:
--
--   moonpool spec/bench/growth.lua items N        a map of N items, default chunks
--   moonpool spec/bench/growth.lua outstanding N  N apply_async before the first result is taken
--   moonpool spec/bench/growth.lua workers N      N workers, 20 sleeps of 5 ms for each
--   moonpool spec/bench/growth.lua bytes N        echo of strings of N bytes, 64 MiB or one in all
--
-- Prints the seconds of an item, and what it took more than the sleeps of which it consists.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local kind, size = arg[1], tonumber(arg[2])
bench.workers = 2
local NAP, NAPS = 0.005, 20
local BYTES, MOST = 64 << 20, 20000

local square, echo = bench.square, bench.echo

local function items(pool)
  return bench.sum(pool:map(square, mp.range(size))), size
end

local function outstanding(pool)
  local results, sum = {}, 0
  for i = 1, size do results[i] = pool:apply_async(square, { i }) end
  for i = 1, size do sum = sum + results[i]:get() end
  return sum, size
end

local function workers(pool)
  local sleep, nap = mp.sleep, NAP
  pool:map(function() sleep(nap) end, mp.range(size * NAPS), 1)
  return 0, size * NAPS
end

local strings = {}
if kind == "bytes" then
  local piece = ("x"):rep(math.min(size, 1024))
  for i = 1, math.max(1, math.min(MOST, BYTES // size)) do
    strings[i] = piece:rep(size // #piece)
  end
end

local function bytes(pool)
  local results = pool:map(echo, strings)
  return #results[1], #strings
end

local run = assert(({ items = items, outstanding = outstanding, workers = workers,
  bytes = bytes })[kind], "items, outstanding, workers or bytes?")
local pool <close> = mp.Pool(kind == "workers" and size or bench.workers)
if kind == "workers" then
  pool:start()
  while #pool:workers() < size do mp.sleep(0.01) end
end
pool:map(echo, mp.range(1000))
if size <= BYTES then pool:map(echo, strings) end -- memory that was used before
collectgarbage()
local start = mp.monotonic()
local checksum, count = run(pool)
local seconds = mp.monotonic() - start
bench.report({ item = seconds / count, over = seconds - NAP * NAPS }, checksum)
