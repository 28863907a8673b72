-- W8: imap_unordered over a generator of a million, no chunk size given; and how many inputs it has
-- pulled when a consumer rests behind its hundredth result.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ITEMS, REST_AT = 1000000, 100
local square = bench.square

local pulled
local function generator()
  pulled = 0
  return function()
    if pulled < ITEMS then
      pulled = pulled + 1
      return pulled
    end
  end
end

local function consume(pool)
  local sum = 0
  for _, value in pool:imap_unordered(square, generator()) do sum = sum + value end
  return sum
end

local function ahead_of_rest(pool)
  local n = 0
  for _ in pool:imap_unordered(square, generator()) do
    n = n + 1
    if n == REST_AT then
      mp.sleep(0.2)
      return pulled - n
    end
  end
end

local pool <close> = bench.pool()
local seconds, sum = bench.time(consume, pool)
bench.report({ item = seconds / ITEMS, ahead = ahead_of_rest(pool) }, sum)
